from weft.sw.errors import LONGEST_SENTENCE, UserError, printable


def test_user_error_is_a_value_error_and_reads_as_its_sentence() -> None:
    error = UserError("rows must be 4")
    assert isinstance(error, ValueError)
    assert str(error) == "rows must be 4"


def test_a_sentence_is_one_line_of_what_can_be_printed() -> None:
    assert printable("a.toml: größe ist 'rows' nicht") == "a.toml: größe ist 'rows' nicht"
    assert printable("the tensor a\nb\x1b[31m has \udc80") == r"the tensor a\nb\x1b[31m has \udc80"


def test_a_sentence_is_not_longer_than_one_can_read() -> None:
    assert printable("x" * LONGEST_SENTENCE) == "x" * LONGEST_SENTENCE
    cut = printable("begin " + "\n" * LONGEST_SENTENCE + " end")
    assert len(cut) == LONGEST_SENTENCE
    assert cut.startswith(r"begin \n\n")
    assert cut.endswith(r"\n\n end")

from weft.sw.errors import UserError


def test_user_error_is_a_value_error_and_reads_as_its_sentence() -> None:
    error = UserError("rows must be 4")
    assert isinstance(error, ValueError)
    assert str(error) == "rows must be 4"

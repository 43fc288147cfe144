"""The errors that a user can cause and mend."""

LONGEST_SENTENCE = 1000
"""Characters; the readers' own sentences are shorter, names and paths in them need not be."""


class UserError(ValueError):
    """One sentence: what is wrong, where, and what was expected. The command line prints it and exits with 2."""

    more_lines = False
    """Whether lines of our own words come behind the sentence, which are then printed as lines."""


def printable(sentence: str) -> str:
    """The sentence as a terminal may be given it: one line, whatever characters the names in it have, and no longer
    than LONGEST_SENTENCE."""
    text = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in sentence)
    if len(text) <= LONGEST_SENTENCE:
        return text
    end = LONGEST_SENTENCE // 4
    return f"{text[: LONGEST_SENTENCE - end - 5]} ... {text[-end:]}"

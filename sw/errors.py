"""The errors that a user can cause and mend."""


class UserError(ValueError):
    """One sentence: what is wrong, where, and what was expected. The command line prints it and exits with 2."""

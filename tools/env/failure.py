"""The one error of the set-up: what is wrong, and how to mend it, in one line."""


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do about it."""

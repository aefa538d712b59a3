"""The exception for mistakes a user can fix: its message says what is wrong, where, and what to do about it."""

__all__ = ["PlausibleError"]


class PlausibleError(Exception):
    """Invalid input, a damaged file, or a training that diverged: the message names the cause and the fix.

    The command line prints the message alone and exits with status 2; anything else is a bug and
    keeps its traceback.
    """

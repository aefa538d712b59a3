"""The one error a user is meant to see: it says what is wrong, where, and what to do about it."""


class PlausibleError(Exception):
    """Bad input, a broken file, a diverged training: the message names the cause and the fix.

    The command line prints the message alone and exits with status 2; anything else is a bug and
    keeps its traceback.
    """

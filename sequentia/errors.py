"""The exception for mistakes that the user can fix."""


class UserError(Exception):
    """A user's mistake. The message is one line that names the cause and the remedy.

    The command line prints it to stderr without a traceback and exits with code 2.
    """

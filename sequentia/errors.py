"""The one exception for mistakes that the user can mend."""


class UserError(Exception):
    """A mistake of the user's, told in one line that names the thing and the remedy.

    The command line prints it to stderr without a traceback and exits with code 2.
    """

"""The exception for mistakes that the user can fix."""


class UserError(Exception):
    """A user's mistake. The message is one line that names the cause and the remedy.

    The command line prints it to stderr without a traceback and exits with code 2.
    """


def cause_of(error: Exception) -> Exception:
    """The `UserError` or failed allocation that another library wrapped in `error`; `error` itself if there is none."""
    cause: BaseException | None = error
    while isinstance(cause, Exception):
        if isinstance(cause, UserError) or out_of_memory(cause):
            return cause
        cause = cause.__cause__
    return error


def out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed. PyTorch raises a plain `RuntimeError` if the CPU's memory is too small."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in str(error) or "out of memory" in str(error))
    )

"""`sequentia fit`, `validate` and `test`: training and evaluation on LightningCLI."""

import errno
import os
import sys
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any

from sequentia.commands.help import short_help
from sequentia.errors import UserError
from sequentia.version import __version__

if TYPE_CHECKING:
    from sequentia.training.cli import SequentiaCLI

_CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    started = monotonic()  # before the imports, which take seconds
    if "--help" in arguments or "-h" in arguments:
        print(short_help(name), end="")
        return 0
    if sys.stderr.isatty() and os.environ.get("LOCAL_RANK", "0") == "0":
        print(f"sequentia {__version__}: loading PyTorch and Lightning", file=sys.stderr, flush=True)
    arguments = ["--help" if argument == "--help_all" else argument for argument in arguments]
    if variables := _from_environment(name):
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"options from the environment: {' '.join(variables)}", file=sys.stderr)
        first = int(bool(arguments) and not arguments[0].startswith("-"))  # the data or the run is the first argument
        arguments[first:first] = variables

    from lightning.fabric.utilities.rank_zero import rank_zero_only

    from sequentia.training.loop.stopping import Interrupted

    try:
        run_training(name, arguments, started)
    except Interrupted as stop:
        # Only rank 0 returns the signal's code: from any other, a launcher takes it for a crash.
        return 0 if rank_zero_only.rank else 128 + stop.signum
    return 0


def _from_environment(name: str) -> list[str]:
    """The options that variables give, which are named as LightningCLI does: `SEQUENTIA_FIT__TRAINER__MAX_TIME`."""
    prefix = f"SEQUENTIA_{name.upper()}__"
    return [
        f"--{variable.removeprefix(prefix).lower().replace('__', '.')}={value}"
        for variable, value in sorted(os.environ.items())
        if variable.startswith(prefix)
    ]


def run_training(
    name: str, arguments: list[str], started: float, objects: dict[str, Any] | None = None
) -> "SequentiaCLI":
    """Run the subcommand; `sequentia.fit` calls it too.

    Args:
        name: The subcommand.
        arguments: The arguments after it.
        started: When the command started, by `time.monotonic`.
        objects: Options of the Trainer that `sequentia.fit` was given and that are not plain values; None for the
            command.

    Raises:
        UserError: The arguments are invalid.
        Interrupted: A signal stopped the run.
        KeyboardInterrupt: A second Ctrl-C stopped the run.
    """
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from sequentia.training.cli import SequentiaCLI
    from sequentia.training.logs.messages import plain_messages

    try:
        with plain_messages(python=objects is not None), ExitStack() as held:
            return SequentiaCLI(held, name, arguments, started, objects)
    except MisconfigurationException as error:
        raise UserError(f"invalid or conflicting options: {error}") from error
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # Lightning turns it into exit code 1
            raise KeyboardInterrupt from error
        raise
    except OSError as error:
        if name != "fit" or error.errno not in _CANNOT_WRITE:  # the other commands write to stdout
            raise
        path = os.fsdecode(error.filename or "the run")
        raise UserError(f"cannot write {path}: {error.strerror}; resolve that, or start a new run") from error

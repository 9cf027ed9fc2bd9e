"""The argument parser of the command and its subcommands. It imports nothing slow."""

import argparse
from pathlib import Path
from typing import NoReturn

from sequentia.errors import UserError
from sequentia.files import expanded


def out_path(text: str) -> Path:
    """The type of an argument that names a file or directory to write."""
    return Path(expanded(text))


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `UserError` where argparse prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        """Raise the error.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message}; see `{self.prog} --help`")

    def add_ckpt_path(self) -> None:
        """Add `--ckpt_path`, which `find_checkpoint` resolves, and `--trust`, for `sequentia.load`."""
        self.add_argument(
            "--ckpt_path",
            metavar="PATH",
            help="a checkpoint, a run directory (its best checkpoint) or a directory of runs; default: the newest run",
        )
        self.add_argument(
            "--trust",
            metavar="MODULE",
            action="append",
            default=[],
            help="module of your own architecture, which the checkpoint may import; it may be in the working directory",
        )

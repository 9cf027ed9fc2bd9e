"""The argument parser of the command and its subcommands. It imports nothing slow."""

import argparse
import re
from pathlib import Path
from typing import NoReturn

from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.text import similar


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
        raise UserError(f"{message}{self._suggestion(message)}; see `{self.prog} --help`")

    def _suggestion(self, message: str) -> str:
        """What is probably meant by an unknown option, command or other choice; empty if it could be anything."""
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        unknown = re.match("unrecognized arguments: (--)?([^ =]*)", message)
        if choice:
            close = similar(choice[1], re.findall(r"[\w-]+", choice[2]))
        elif unknown and unknown[1]:
            close = similar(unknown[2], re.findall(r"--(\w+)", self.format_usage()))
        else:
            close = [f"ckpt_path {unknown[2]}"] if unknown and Path(unknown[2]).exists() else []
        return f": did you mean {'' if choice else '--'}{close[0]}?" if close else ""

    def add_ckpt_path(self, first: bool = False) -> None:
        """Add `--ckpt_path`, which `find_checkpoint` resolves, and `--trust`, for `sequentia.load`.

        Args:
            first: Whether the first argument can have the same meaning.
        """
        meaning = "a checkpoint, a run directory (its best checkpoint) or a directory of runs; default: the newest run"
        ways = self.add_mutually_exclusive_group()
        if first:
            ways.add_argument("ckpt_path", nargs="?", default=argparse.SUPPRESS, metavar="RUN", help=meaning)
        ways.add_argument("--ckpt_path", metavar="PATH", help="the same as RUN" if first else meaning)
        self.add_argument(
            "--trust",
            metavar="MODULE",
            action="append",
            default=[],
            help="module of your own architecture, which the checkpoint may import; it may be in the working directory",
        )

"""The command `sequentia`: finds the subcommand, and turns a user's mistake into one line and exit code 2.

Each subcommand is imported when it is called: importing Lightning takes seconds.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import NoReturn

from sequentia.errors import UserError
from sequentia.memory import keep_freed_memory
from sequentia.text import printable

COMMANDS = {
    "fit": ("train a model, or go on with a run", "sequentia.commands.fit"),
    "validate": ("figures of a checkpoint on the validation lines", "sequentia.commands.fit"),
    "test": ("figures of a checkpoint on the test lines", "sequentia.commands.fit"),
    "sample": ("print new lines from a trained model", "sequentia.commands.sample"),
    "score": ("tell how likely a trained model finds texts", "sequentia.commands.score"),
    "export": ("write a trained model for transformers or ONNX runtimes", "sequentia.commands.export"),
    "plot": ("draw the bigrams of a trained model", "sequentia.commands.plot"),
}
"""Subcommand -> what it does, and the module whose `run(name, arguments)` does it and returns the exit code."""


class Parser(argparse.ArgumentParser):
    """argparse, whose errors are a `UserError`."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and exiting."""
        raise UserError(f"{message}; see `{self.prog} --help`")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code.

    Args:
        arguments: What stands behind `sequentia` on the command line; the process's own unless given.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _command(arguments)(arguments)
    except UserError as error:
        print(f"sequentia: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe, `head` say, has seen enough
        sys.stderr.close()
        return 141


def _command(arguments: list[str]) -> Callable[[list[str]], int]:
    parser = Parser(
        prog="sequentia",
        description="Take a text file with one example a line and make more things like them.",
        epilog="`sequentia COMMAND --help` tells a command's options.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    for name, (text, _) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    options, _ = parser.parse_known_args(arguments[:1])
    if options.version:
        return _print_version
    if options.command is None:
        parser.print_help(sys.stderr)
        raise UserError("give a command")
    keep_freed_memory()
    run = import_module(COMMANDS[options.command][1]).run
    return lambda arguments: run(options.command, arguments[1:])


def _print_version(arguments: list[str]) -> int:
    import sequentia

    print(f"sequentia {sequentia.__version__}")
    return 0

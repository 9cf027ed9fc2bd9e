"""The command `sequentia`: dispatches to the subcommand and turns a user's mistake into one line and exit code 2.

A subcommand's module is imported only when it is called, because importing Lightning takes seconds.
"""

import atexit
import gc
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import version

from sequentia.commands import COMMANDS
from sequentia.commands.parser import Parser
from sequentia.errors import UserError, out_of_memory
from sequentia.text import colored, escaping, for_terminal, printable
from sequentia.version import DISTRIBUTION


@escaping()
def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command-line arguments after `sequentia`; `sys.argv[1:]` by default.

    Returns:
        The exit code: 0, 2 after a user's mistake, 130 after Ctrl-C, 141 if the reader of stdout closed the pipe.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # At exit Python would search all objects for garbage, which takes a second once torch is imported.
    atexit.register(gc.freeze)
    gc.set_threshold(10_000)  # the default searches for garbage 900 times while torch is imported: a second
    try:
        try:
            return _command(arguments)(arguments)
        finally:
            sys.stdout.flush()  # here, because an error while Python exits would be a traceback
    except UserError as error:
        _report(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # normal when piping into `head`
        sys.stderr.close()
        return 141
    except OSError as error:
        if error.filename:
            _report(f"cannot access {error.filename}: {error.strerror}; check its name and permissions")
        else:  # reading or writing an open file: all but stdout raise UserError
            _report(f"cannot write to stdout: {error.strerror or error}; redirect it to a file that can be written")
            with suppress(OSError):  # discard the buffer, which Python would try to write again when it exits
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        _report("not enough memory: choose a smaller model, smaller batches or shorter lines")
    return 2


def _report(message: str) -> None:
    """Print the one line about a mistake."""
    with suppress(OSError):  # stderr is full, too
        line = for_terminal(f"sequentia: {printable(' '.join(message.split()))}", sys.stderr)
        print(line.replace("sequentia:", colored("sequentia:", "red", sys.stderr), 1), file=sys.stderr)


def _command(arguments: list[str]) -> Callable[[list[str]], int]:
    """The function that runs the command that `arguments` name.

    Raises:
        UserError: The arguments name no command, or an unknown one.
    """
    parser = Parser(
        prog="sequentia",
        description="Train a character-level language model on a text file with one example per line, and generate "
        "more examples like them.",
        epilog="Run `sequentia COMMAND --help` for the options of a command.",
    )
    parser.add_argument("--version", action="store_true", help="print the versions and exit")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    for name, (text, _) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    options, _ = parser.parse_known_args(arguments[:1])  # the rest is parsed by the subcommand
    if options.version:
        return _print_version
    if options.command is None:
        parser.print_help(sys.stderr)
        raise UserError("give a command")
    run = import_module(COMMANDS[options.command][1]).run
    return lambda arguments: run(options.command, arguments[1:])


def _print_version(arguments: list[str]) -> int:
    for name, distribution in (("sequentia", DISTRIBUTION), ("torch", "torch"), ("lightning", "lightning")):
        print(f"{name} {version(distribution)}")
    return 0

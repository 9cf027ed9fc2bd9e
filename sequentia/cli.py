"""The command `sequentia`: dispatches to the subcommand and turns a `UserError` into one line and exit code 2.

A subcommand's module is imported only when it is called, because importing Lightning takes seconds.
"""

import sys
from collections.abc import Callable
from importlib import import_module

from sequentia.commands.parser import Parser
from sequentia.errors import UserError
from sequentia.text import printable

COMMANDS = {
    "fit": ("train a model, or resume a run", "sequentia.commands.fit"),
    "validate": ("evaluate a checkpoint on the validation lines", "sequentia.commands.fit"),
    "test": ("evaluate a checkpoint on the test lines", "sequentia.commands.fit"),
    "sample": ("print new lines from a trained model", "sequentia.commands.sample"),
    "score": ("print the negative log-likelihood of texts", "sequentia.commands.score"),
    "export": ("convert a trained model for Hugging Face transformers or ONNX", "sequentia.commands.export"),
    "plot": ("draw a heat map of a trained model's character pairs", "sequentia.commands.plot"),
}
"""Subcommand -> its help text, and the module whose `run(name, arguments)` runs it and returns the exit code."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command-line arguments after `sequentia`; `sys.argv[1:]` by default.

    Returns:
        The exit code: 0, 2 after a `UserError`, 130 after Ctrl-C, 141 if the reader of stdout closed the pipe.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return _command(arguments)(arguments)
    except UserError as error:
        print(f"sequentia: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # normal when piping into `head`
        sys.stderr.close()
        return 141


def _command(arguments: list[str]) -> Callable[[list[str]], int]:
    """The function that runs the command that `arguments` name.

    Raises:
        UserError: They name no command, or an unknown one.
    """
    parser = Parser(
        prog="sequentia",
        description="Train a character-level language model on a text file with one example per line, and generate "
        "more examples like them.",
        epilog="Run `sequentia COMMAND --help` for the options of a command.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
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
    import sequentia

    print(f"sequentia {sequentia.__version__}")
    return 0

"""`sequentia completion`: print a script that lets a shell complete commands, options and files."""

from importlib import import_module

import shtab

from sequentia.commands import COMMANDS
from sequentia.commands.help import OPTIONS, option_parser
from sequentia.commands.parser import Parser

_PATHS = ("FILE", "PATH", "OUT", "RUN", "DIR", "NAME_OR_FILE")
"""Placeholders of arguments that are files or directories."""


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(
        prog="sequentia completion",
        description="Print a script that lets a shell complete commands, options and files. For bash, add this line to "
        "~/.bashrc: source <(sequentia completion bash)",
    )
    parser.add_argument("shell", choices=["bash", "zsh", "fish"], help="the shell")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    whole = Parser(prog="sequentia")
    commands = whole.add_subparsers()
    for command, (text, module) in COMMANDS.items():
        own = option_parser(command) if command in OPTIONS else import_module(module).parser()
        for action in own._actions:
            if action.metavar in _PATHS:
                action.complete = shtab.FILE  # type: ignore[union-attr]  # the attribute is the interface of shtab
        commands.add_parser(command, help=text, parents=[own], add_help=False)
    print(shtab.complete(whole, shell=options.shell))
    return 0

"""The options of `SamplingOptions` on the command line, for `sample` and `top`."""

from argparse import Namespace
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from sequentia.commands.parser import Parser
from sequentia.inference.options import SamplingOptions


def add_conditions(parser: Parser, drawing: bool) -> None:
    """Add the conditions on lines and, if wanted, the options of drawing at random."""
    hints = get_type_hints(SamplingOptions)
    for field in fields(SamplingOptions):
        if field.metadata["drawing"] and not drawing:
            continue
        kind = (get_args(hints[field.name]) or (hints[field.name],))[0]  # int | None -> int
        text, metavar = field.metadata["help"], field.metadata["metavar"]
        if kind is bool:
            parser.add_argument(f"--{field.name}", action="store_true", help=text)
        elif metavar in ("FILE", "MODULE:FUNCTION"):
            parser.add_argument(f"--{field.name}", metavar=metavar, help=text)
        else:
            text += f"; default: {field.default}" if field.default else ""
            parser.add_argument(f"--{field.name}", type=kind, default=field.default, metavar=metavar, help=text)


def conditions(options: Namespace, drawing: bool) -> dict[str, Any]:
    """The fields of `SamplingOptions` that were given, with the lines of a file and the function of a name.

    Raises:
        UserError: The file cannot be read, or there is no such function.
    """
    from sequentia.data.reading import LINES, blocks
    from sequentia.evaluation.validity import load_valid

    names = [field.name for field in fields(SamplingOptions) if drawing or not field.metadata["drawing"]]
    values = {name: getattr(options, name) for name in names}
    if options.valid is not None:
        values["valid"] = load_valid(options.valid)
    lines = [] if options.avoid is None else [line.strip() for block in blocks(options.avoid, LINES) for line in block]
    return values | {"avoid": set(lines)}

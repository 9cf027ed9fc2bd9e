"""The options of `sample` and `top`: the conditions on lines, and how a line is printed."""

from argparse import Namespace
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from sequentia.commands.parser import Parser
from sequentia.inference.options import SamplingOptions
from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.inference.sampling import Sample


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
        elif field.name in ("prompt", "avoid", "valid"):
            action = "append" if field.name == "prompt" else "store"
            parser.add_argument(f"--{field.name}", action=action, metavar=metavar, help=text)
        else:
            text += f"; default: {field.default}" if field.default else ""
            parser.add_argument(f"--{field.name}", type=kind, default=field.default, metavar=metavar, help=text)


def add_columns(parser: Parser) -> None:
    """Add the options on how a line is printed."""
    parser.add_argument("--nll", action="store_true", help="append a tab and the negative log-likelihood in nats")
    parser.add_argument("--raw", action="store_true", help="do not escape control characters")


def columns(sample: "Sample", options: Namespace) -> str:
    """A line as it is printed."""
    text = sample.text if options.raw else printable(sample.text)
    return f"{text}\t{sample.nll:.4f}" if options.nll else text


def conditions(options: Namespace, drawing: bool) -> dict[str, Any]:
    """The fields of `SamplingOptions` that were given, with the lines of a file and the function of a name.

    Raises:
        UserError: The file cannot be read, or there is no such function.
    """
    from sequentia.data.reading import texts
    from sequentia.evaluation.validity import load_valid

    names = [field.name for field in fields(SamplingOptions) if drawing or not field.metadata["drawing"]]
    values = {name: getattr(options, name) for name in names}
    if options.valid is not None:
        values["valid"] = load_valid(options.valid)
    avoid = () if options.avoid is None else set(texts(options.avoid))
    return values | {"prompt": options.prompt or "", "avoid": avoid}

"""`sequentia sample`: print new lines from a trained model."""

import sys
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from sequentia.commands.parser import Parser
from sequentia.errors import UserError
from sequentia.inference.options import SamplingOptions
from sequentia.runs.directory import find_checkpoint
from sequentia.text import printable


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia sample", description="Print new lines from a trained model, one sample per line.")
    parser.add_ckpt_path()
    add = parser.add_argument
    add("--num_samples", type=int, default=20, metavar="N", help="number of lines (default: %(default)s)")
    hints = get_type_hints(SamplingOptions)
    for field in fields(SamplingOptions):
        kind = (get_args(hints[field.name]) or (hints[field.name],))[0]  # int | None -> int
        text, metavar = field.metadata["help"], field.metadata["metavar"]
        if kind is bool:
            add(f"--{field.name}", action="store_true", help=text)
            continue
        default = f"; default: {field.default}" if field.default else ""
        if metavar in ("FILE", "MODULE:FUNCTION"):
            add(f"--{field.name}", metavar=metavar, help=text)
        else:
            add(f"--{field.name}", type=kind, default=field.default, metavar=metavar, help=text + default)
    add("--nll", action="store_true", help="append a tab and the line's negative log-likelihood in nats")
    add("--raw", action="store_true", help="do not escape control characters")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        UserError: Hardly any line meets the conditions. Those that were found have been printed.
    """
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from tqdm import tqdm

    from sequentia.inference.sampling import generate
    from sequentia.runs.checkpoint import load

    chosen = {field.name: getattr(options, field.name) for field in fields(SamplingOptions)}
    draws = generate(load(checkpoint, trust=options.trust), options.num_samples, **chosen | _from_files(options))
    bar = tqdm(total=options.num_samples, unit=" lines", delay=2, disable=None, leave=False)  # on a terminal only

    def show_progress() -> None:
        bar.set_postfix_str(f"{draws.drawn:,} draws", refresh=False)
        bar.update(draws.found - bar.n)

    draws.after_batch = show_progress
    show = bar.write if sys.stdout.isatty() and not bar.disable else print
    with bar:
        for sample in draws:
            text = sample.text if options.raw else printable(sample.text)
            show(f"{text}\t{sample.nll:.4f}" if options.nll else text)
    sys.stdout.flush()
    if shortage := draws.shortage():
        raise UserError(shortage)
    if draws.fitting < draws.drawn:
        print(draws.frequency(), file=sys.stderr)
    return 0


def _from_files(options: Any) -> dict[str, Any]:
    """The values of the options that are given as a file or a function's name."""
    from sequentia.data.reading import LINES, blocks
    from sequentia.evaluation.validity import load_valid

    values: dict[str, Any] = {"valid": options.valid and load_valid(options.valid), "avoid": ()}
    if options.avoid is not None:
        values["avoid"] = {line.strip() for block in blocks(options.avoid, LINES) for line in block}
    return values

"""`sequentia sample`: print new lines from a trained model."""

import sys
from dataclasses import fields
from typing import get_args, get_type_hints

from sequentia.commands.parser import Parser
from sequentia.inference.options import SamplingOptions
from sequentia.runs.directory import find_checkpoint
from sequentia.text import printable

_DRAWS_PER_LINE = 100
"""With --novel, --unique or --valid, give up after this many draws per requested line."""


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia sample", description="Print new lines from a trained model, one sample per line.")
    parser.add_ckpt_path()
    add = parser.add_argument
    add("--num_samples", type=int, default=20, metavar="N", help="number of lines (default: %(default)s)")
    hints = get_type_hints(SamplingOptions)
    for field in fields(SamplingOptions):
        kind = (get_args(hints[field.name]) or (hints[field.name],))[0]  # int | None -> int
        default = "" if field.default in (None, "") else f"; default: {field.default}"
        text, metavar = field.metadata["help"] + default, field.metadata["metavar"]
        add(f"--{field.name}", type=kind, default=field.default, metavar=metavar, help=text)
    add("--novel", action="store_true", help="print only lines that are not in the training data")
    add("--unique", action="store_true", help="print no line twice")
    add(
        "--valid",
        metavar="MODULE:FUNCTION",
        help="print only lines that a function of a text accepts; the module is in the current directory or installed",
    )
    add("--nll", action="store_true", help="append a tab and the line's negative log-likelihood in nats")
    add("--raw", action="store_true", help="do not escape control characters")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.evaluation.validity import is_valid, load_valid
    from sequentia.inference.sampling import generate
    from sequentia.runs.checkpoint import load, training_data

    valid = None if options.valid is None else load_valid(options.valid)
    model = load(checkpoint, trust=options.trust)
    data = training_data(model, "--novel", may_differ=True) if options.novel else None
    wanted = [name for name in ("novel", "unique", "valid") if getattr(options, name)]
    draws = options.num_samples * (_DRAWS_PER_LINE if wanted else 1)
    chosen = {field.name: getattr(options, field.name) for field in fields(SamplingOptions)}
    seen: set[str] = set()

    def accepts(text: str) -> bool:
        novel = data is None or data.splits_of([text]) != ["train"]
        unique = not options.unique or text not in seen
        accepted = novel and unique and (valid is None or is_valid(valid, text))
        if accepted:
            seen.add(text)
        return accepted

    samples = (sample for sample in generate(model, draws, **chosen) if accepts(sample.text))
    printed = 0
    for printed, sample in enumerate(samples, start=1):
        text = sample.text if options.raw else printable(sample.text)
        print(f"{text}\t{sample.nll:.4f}" if options.nll else text)
        if printed == options.num_samples:
            break
    sys.stdout.flush()
    if printed < options.num_samples:
        print(
            f"found {printed:,} of {options.num_samples:,} {' and '.join(wanted)} lines in {draws:,} draws; raise "
            "--temperature",
            file=sys.stderr,
        )
    return 0

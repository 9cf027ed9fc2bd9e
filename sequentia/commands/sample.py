"""`sequentia sample`: print new lines from a trained model."""

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sequentia.commands.parser import Parser
from sequentia.errors import UserError
from sequentia.runs.directory import find_checkpoint, training_data
from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.data import CharDataModule
    from sequentia.inference.sampling import Sample

_DRAWS_PER_LINE = 100
"""With --novel, --unique or --valid, give up after this many draws per requested line."""


def parser() -> Parser:
    """The command's argument parser."""
    parser = Parser(prog="sequentia sample", description="Print new lines from a trained model, one sample per line.")
    parser.add_ckpt_path()
    add = parser.add_argument
    add("--num_samples", type=int, default=20, metavar="N", help="number of lines (default: %(default)s)")
    add("--prompt", default="", help="prefix of every line")
    add(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="below 1, more probable lines; above 1, more diverse lines; 0, only the most probable character each time "
        "(default: %(default)s)",
    )
    add("--top_k", type=int, metavar="K", help="sample only from the K most probable characters")
    add(
        "--top_p",
        type=float,
        metavar="P",
        help="sample only from the most probable characters with a total probability of P",
    )
    add("--max_length", type=int, metavar="N", help="maximum number of characters (default: the model's limit)")
    add("--min_length", type=int, default=0, metavar="N", help="minimum number of characters (default: %(default)s)")
    add("--seed", type=int, metavar="S", help="seed: the same seed and options give the same lines (default: random)")
    add(
        "--batch_size",
        type=int,
        metavar="B",
        help="lines sampled at a time (default: 5000, or fewer if the model has a long context)",
    )
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

    from sequentia.evaluation.validity import load_valid
    from sequentia.inference.sampling import generate
    from sequentia.runs.checkpoint import load

    valid = None if options.valid is None else load_valid(options.valid)
    model = load(checkpoint, trust=options.trust)
    data = training_data(checkpoint.parent, "--novel") if options.novel else None
    if data is not None and data.vocabulary != model.vocabulary:
        raise UserError(
            f"--novel needs the training data, but {data.shown_path} has changed: its characters differ from the "
            "model's vocabulary; restore the file"
        )
    wanted = [name for name in ("novel", "unique", "valid") if getattr(options, name)]
    draws = options.num_samples * (_DRAWS_PER_LINE if wanted else 1)
    samples = generate(
        model,
        draws,
        prompt=options.prompt,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        min_length=options.min_length,
        max_length=options.max_length,
        seed=options.seed,
        batch_size=options.batch_size,
    )
    printed = 0
    for sample in _accepted(samples, data, options.unique, valid):
        text = sample.text if options.raw else printable(sample.text)
        print(f"{text}\t{sample.nll:.4f}" if options.nll else text)
        printed += 1
        if printed == options.num_samples:
            break
    sys.stdout.flush()
    if printed < options.num_samples:
        print(
            f"only {printed:,} of {options.num_samples:,} lines: {draws:,} draws gave no more that are "
            f"{' and '.join(wanted)}; raise --temperature",
            file=sys.stderr,
        )
    return 0


def _accepted(
    samples: Iterator["Sample"], data: "CharDataModule | None", unique: bool, valid: Callable[[str], object] | None
) -> Iterator["Sample"]:
    """The samples that are not training lines of `data`, are valid and, if `unique`, have not occurred before."""
    from sequentia.evaluation.validity import is_valid

    seen: set[str] = set()
    for sample in samples:
        if data is not None and data.splits_of([sample.text]) == ["train"]:
            continue
        if valid is not None and not is_valid(valid, sample.text):
            continue
        if unique:
            if sample.text in seen:
                continue
            seen.add(sample.text)
        yield sample

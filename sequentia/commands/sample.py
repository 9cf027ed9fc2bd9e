"""`sequentia sample`: print new lines from a trained model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sequentia.cli import Parser
from sequentia.errors import UserError
from sequentia.runs import find_checkpoint, read_config
from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.data import CharDataModule

_TRIES = 100
"""Draws for each line still wanted after which --novel and --unique give up."""


def parser() -> Parser:
    """The options."""
    parser = Parser(prog="sequentia sample", description="Print new lines from a trained model, one a line.")
    add = parser.add_argument
    add("--ckpt_path", metavar="PATH", help="checkpoint file or run directory (its best); default: the newest run")
    add("--num_samples", type=int, default=20, metavar="N", help="how many lines (default: %(default)s)")
    add("--prompt", default="", help="characters that every line starts with")
    add(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="below 1 likelier lines, above 1 stranger; 0 the likeliest",
    )
    add("--top_k", type=int, metavar="K", help="draw from the K likeliest characters alone")
    add("--top_p", type=float, metavar="P", help="draw from the likeliest characters with total probability P")
    add("--max_length", type=int, metavar="N", help="most characters of a line (default: the model's limit)")
    add("--min_length", type=int, default=0, metavar="N", help="least characters of a line")
    add("--seed", type=int, metavar="S", help="same seed and options, same lines")
    add("--batch_size", type=int, metavar="B", help="lines drawn side by side (default: 5000, fewer if they are long)")
    add("--novel", action="store_true", help="only lines that are not in the training data")
    add("--unique", action="store_true", help="no line twice")
    add("--nll", action="store_true", help="behind each line a tab and its negative log likelihood in nats")
    add("--raw", action="store_true", help="print control characters as they are")
    return parser


def run(name: str, arguments: list[str]) -> int:
    """Run the subcommand; returns the exit code."""
    options = parser().parse_args(arguments)
    checkpoint = find_checkpoint(options.ckpt_path)

    from sequentia.checkpoint import load_model
    from sequentia.sampling import Sample, generate

    model = load_model(checkpoint)
    known = _training_lines(checkpoint.parent) if options.novel else None
    if known is not None and known.vocabulary != model.vocabulary:
        raise UserError(
            f"--novel needs the training data, but {known.path} has other characters by now than those the model "
            "learnt: give it back its lines"
        )
    seen: set[str] = set()
    rejects = options.novel or options.unique

    def wanted(samples: Iterator[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if known is not None and known.sides([sample.text]) == ["train"]:
                continue
            if options.unique:
                if sample.text in seen:
                    continue
                seen.add(sample.text)
            yield sample

    draws = options.num_samples * _TRIES if rejects else options.num_samples
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
    if options.num_samples:
        for sample in wanted(samples):
            text = sample.text if options.raw else printable(sample.text)
            print(f"{text}\t{sample.nll:.4f}" if options.nll else text)
            printed += 1
            if printed == options.num_samples:
                break
    sys.stdout.flush()
    if printed < options.num_samples:
        print(f"only {printed} such lines in {draws:,} draws: raise --temperature for more", file=sys.stderr)
    return 0


def _training_lines(run: Path) -> "CharDataModule":
    """The data that a run was trained on, as its config.yaml names it."""
    from sequentia.data import CharDataModule

    try:
        data = CharDataModule(**read_config(run)["data"])
        data.split  # noqa: B018  reads the data now: a mistake in it is told here
    except UserError as error:
        raise UserError(f"--novel needs the training data that {run}/config.yaml names: {error}") from error
    except (KeyError, TypeError) as error:
        raise UserError(
            f"--novel needs the training data, but the part `data` of {run}/config.yaml is damaged"
        ) from error
    return data

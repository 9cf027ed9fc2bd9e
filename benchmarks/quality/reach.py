"""Time to a test NLL of 1.97 nats per character on split A of names.txt: `sequentia fit` and the textbook loop."""

import statistics

from benchmarks.quality.quality import Result, fit_split, mean_and_deviation, textbook
from benchmarks.report import Table

TEXTBOOK_STEPS = 8500
"""Length of the baseline; the table has the NLL that it reaches."""

SEEDS = 3
FAST = ("--model.dropout=0", "--optimizer.lr=0.03", "--optimizer.adamw_lr=0.02")
"""Runs this short do not overfit, so they need no dropout. The learning rates were chosen by validation NLL."""

VARIANTS = (
    ("transformer", "as shipped except for max_steps", (), (550, 600, 650)),
    ("transformer", "no dropout, learning rates 0.03 and 0.02", FAST, (275, 300, 325)),
    ("ngram", "as shipped", (), (None,)),
)
"""Configuration, label, options, and numbers of steps; None is the default, for the n-gram model one epoch."""


def cells(results: list[Result]) -> tuple[object, ...]:
    """The table cells for all seeds of a variant: number of seeds, seconds, test NLL, validation NLL."""
    seconds, val, test = (list(column) for column in zip(*results, strict=True))
    times = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
    return len(results), times, mean_and_deviation(test), mean_and_deviation(val)


def run(quick: bool) -> str:
    """Train, one run at a time on all cores; returns the table."""
    table = Table("program", "options", "steps", "seeds", "median seconds", "test NLL", "validation NLL")
    seeds = range(1 if quick else SEEDS)
    length = 50 if quick else TEXTBOOK_STEPS
    baseline = [textbook("Transformer", "A", seed, steps=length) for seed in seeds]
    table.add("textbook loop", "", f"{length:,}", *cells(baseline))
    for config, label, options, lengths in VARIANTS:
        for steps in lengths[:1] if quick else lengths:
            length_option = [] if steps is None else [f"--trainer.max_steps={50 if quick else steps}"]
            results = [fit_split(config, "A", seed, None, *options, *length_option) for seed in seeds]
            table.add(f"sequentia fit --config {config}", label, steps or "one epoch", *cells(results))
    return f"## Time to 1.97 nats per character\n\n{table}\n"

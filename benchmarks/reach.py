"""Time to a test NLL of 1.97 nats per character on split A of names.txt: `sequentia fit` and the textbook loop."""

import statistics

from benchmarks.quality import Result, fit, mean_and_deviation, textbook
from benchmarks.report import Table

TEXTBOOK_STEPS = 8500
"""Length of the baseline; the table has the NLL that it reaches."""

SEEDS = 3

VARIANTS = (("ngram", None), ("transformer", 600))
"""Configuration, and its number of steps; None as shipped, which for the n-gram model is one pass over the lines."""


def cells(results: list[Result]) -> tuple[object, ...]:
    """The table cells for all seeds of a variant: number of seeds, seconds, test NLL, validation NLL."""
    seconds, val, test = (list(column) for column in zip(*results, strict=True))
    times = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
    return len(results), times, mean_and_deviation(test), mean_and_deviation(val)


def run(quick: bool) -> str:
    """Train, one run at a time on all cores; returns the table."""
    table = Table("program", "steps", "seeds", "median seconds", "test NLL", "validation NLL")
    seeds = range(1 if quick else SEEDS)
    length = 50 if quick else TEXTBOOK_STEPS
    table.add(
        "textbook loop", f"{length:,}", *cells([textbook("Transformer", "A", seed, steps=length) for seed in seeds])
    )
    for config, steps in VARIANTS:
        options = [] if steps is None else [f"--trainer.max_steps={50 if quick else steps}"]
        results = [fit(config, "A", seed, None, *options) for seed in seeds]
        table.add(f"sequentia fit --config {config}", steps or "as shipped", *cells(results))
    return f"## Time to 1.97 nats per character\n\n{table}\n"

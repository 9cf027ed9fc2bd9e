"""How long until 1.97 nats per character on split A of names.txt: `sequentia fit` against the textbook loop."""

import statistics

from benchmarks.quality import Trained, fit, spread, textbook
from benchmarks.report import Table

TEXTBOOK_STEPS = 8500
"""What our time is held against; where the textbook loop stands by then is in the table."""

SEEDS = 3
SHORT = ("--model.dropout=0", "--optimizer.lr=0.03", "--optimizer.adamw_lr=0.02")
"""So early, nothing is learnt by heart yet that dropout would have to prevent; rates by validation NLL."""

VARIANTS = (
    ("as shipped but for the length", (), (550, 600, 650)),
    ("no dropout, rates 0.03 and 0.02", SHORT, (275, 300, 325)),
)
"""What is said of them, options, and lengths."""


def cells(done: list[Trained]) -> tuple[object, ...]:
    """The cells that say what runs of one kind took and reached."""
    seconds, val, test = (list(column) for column in zip(*done, strict=True))
    times = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
    return len(done), times, spread(test), spread(val)


def run(quick: bool) -> str:
    """Train, each alone on all cores; returns the table."""
    table = Table("what", "options", "steps", "seeds", "median seconds", "test NLL", "validation NLL")
    seeds = range(1 if quick else SEEDS)
    length = 50 if quick else TEXTBOOK_STEPS
    theirs = [textbook("Transformer", "A", seed, steps=length) for seed in seeds]
    table.add("textbook loop", "", f"{length:,}", *cells(theirs))
    for told, options, lengths in VARIANTS:
        for length in (50,) if quick else lengths:
            ours = [fit("transformer", "A", seed, None, f"--trainer.max_steps={length}", *options) for seed in seeds]
            table.add("sequentia fit", told, f"{length:,}", *cells(ours))
    return f"## Until 1.97\n\n{table}\n"

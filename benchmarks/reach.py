"""How long until 1.97 nats per character on split A of names.txt: `sequentia fit` against the textbook loop."""

import statistics

from benchmarks.quality import fit, spread, textbook
from benchmarks.report import Table

TEXTBOOK_STEPS = 8500
"""What our time is held against; where the textbook loop stands by then is in the table."""

STEPS = (275, 300, 325)
SEEDS = 3
SHORT = ("--model.dropout=0", "--optimizer.lr=0.03", "--optimizer.adamw_lr=0.02")
"""So early, nothing is learnt by heart yet that dropout would have to prevent; rates by validation NLL."""


def run(quick: bool) -> str:
    """Train, each alone on all cores; returns the table."""
    table = Table("what", "steps", "seeds", "median seconds", "test NLL", "validation NLL")
    steps = 50 if quick else TEXTBOOK_STEPS
    theirs = textbook("Transformer", "A", 0, steps=steps)
    table.add("textbook loop", f"{steps:,}", 1, f"{theirs.seconds:.1f}", f"{theirs.test:.4f}", f"{theirs.val:.4f}")
    for steps in (50,) if quick else STEPS:
        done = [fit("transformer", "A", seed, None, f"--trainer.max_steps={steps}", *SHORT) for seed in range(SEEDS)]
        seconds, val, test = (list(column) for column in zip(*done, strict=True))
        median = f"{statistics.median(seconds):.1f}"
        table.add("sequentia fit", f"{steps:,}", SEEDS, median, spread(test), spread(val))
    return f"## Until 1.97\n\n{table}\n"

"""How long until 1.97 nats per character on split A of names.txt: `sequentia fit` against the textbook loop."""

from benchmarks.quality import fit, textbook
from benchmarks.report import Table

TEXTBOOK_STEPS = 8500
"""What our time is held against; where the textbook loop stands by then is in the table."""

STEPS = (300, 350, 400)


def run(quick: bool) -> str:
    """Train, each alone on all cores; returns the table."""
    table = Table("what", "steps", "seconds", "test NLL", "validation NLL")
    steps = 50 if quick else TEXTBOOK_STEPS
    theirs = textbook("Transformer", "A", 0, steps=steps)
    table.add("textbook loop", f"{steps:,}", f"{theirs.seconds:.0f}", f"{theirs.test:.4f}", f"{theirs.val:.4f}")
    for steps in (50,) if quick else STEPS:
        # So early, nothing is learnt by heart yet that dropout would have to prevent.
        ours = fit("transformer", "A", 0, None, f"--trainer.max_steps={steps}", "--model.dropout=0")
        table.add("sequentia fit", f"{steps:,}", f"{ours.seconds:.0f}", f"{ours.test:.4f}", f"{ours.val:.4f}")
    return f"## Until 1.97\n\n{table}\n"

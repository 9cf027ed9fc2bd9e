"""The best names half an hour buys: test NLL of configs/transformer_best.yaml on both splits of names.txt."""

from benchmarks.quality import cells, fit
from benchmarks.report import Table


def run(quick: bool) -> str:
    """Train on one split after the other, each on all cores; returns the table."""
    table = Table("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL", "seconds on all cores")
    for name in "AB":
        done = fit("transformer_best", name, 0, None, *(["--trainer.max_steps=20"] if quick else []))
        table.add(*cells("transformer_best", name, [done]))
    return f"## The best in half an hour\n\n{table}\n"

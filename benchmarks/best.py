"""The best names half an hour buys: test NLL of configs/transformer_best.yaml on both splits of names.txt."""

from benchmarks.quality import cells, rows
from benchmarks.report import Table


def run(quick: bool) -> str:
    """Train on both splits at once, one core each: with all cores a run is done sooner. Returns the table."""
    table = Table("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL", "seconds on one core")
    for case in rows((("transformer_best", "AB"),), 1, *(["--trainer.max_steps=20"] if quick else [])):
        table.add(*cells(*case))
    return f"## The best in half an hour\n\n{table}\n"

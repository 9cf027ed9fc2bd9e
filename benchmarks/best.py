"""The best names half an hour buys: test NLL of configs/transformer_best.yaml on both splits of names.txt."""

from benchmarks.quality import SEEDS, cells, rows
from benchmarks.report import Table


def run(quick: bool) -> str:
    """Train on both splits with all seeds, a run on each core; returns the table."""
    table = Table("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL", "seconds on one core")
    for config, name, done in rows(
        (("transformer_best", "AB"),), SEEDS, *(["--trainer.max_steps=20"] if quick else [])
    ):
        table.add(*cells(config, name, done))
    return f"## The best in half an hour\n\n{table}\n"

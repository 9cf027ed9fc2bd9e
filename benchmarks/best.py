"""The best names half an hour buys: test NLL of configs/transformer_best.yaml on both splits of names.txt."""

from benchmarks.quality import HEADER, SEEDS, alone, cells, rows
from benchmarks.report import Table


def run(quick: bool) -> str:
    """Train on both splits with all seeds, a run on each core, and on each once more alone; returns the tables."""
    table = Table(*HEADER, "seconds on one core")
    short = ["--trainer.max_steps=20"] if quick else []
    for config, name, done in rows((("transformer_best", "AB"),), SEEDS, *short):
        table.add(*cells(config, name, done))
    return f"## The best in half an hour\n\n{table}\n\n{alone('transformer_best', 'AB', SEEDS, *short)}\n"

"""The lowest NLL on names.txt within half an hour of training: configs/mixture_best.yaml on both splits."""

from benchmarks.quality.quality import HEADER, SEEDS, cells, fit_all, table_of_single_runs
from benchmarks.report import Table


def run(quick: bool) -> str:
    """Train with every seed, one run per core, then one run per split on all cores; returns the tables."""
    table = Table(*HEADER, "seconds on one core")
    short = ["--trainer.max_steps=20"] if quick else []
    for config, split, results in fit_all((("mixture_best", "AB"),), SEEDS, *short):
        table.add(*cells(config, split, results))
    single = table_of_single_runs(("mixture_best",), "AB", SEEDS, *short)  # a seed that the first table does not have
    return f"## Lowest NLL within half an hour\n\n{table}\n\n{single}\n"

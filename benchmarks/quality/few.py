"""Few lines: the default configuration and the n-gram model on 50 to 2,000 lines, tested on thousands of others."""

import json
import os
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.commands import fit, sequentia
from benchmarks.quality.datasets import last_names, names_of_languages, regions
from benchmarks.quality.quality import SEEDS
from benchmarks.report import Table

CONFIGS = ("ngram", "mixture")
SIZES = (50, 200, 500, 2000)
_OTHERS = 2000

KINDS = {
    "regions of the world": lambda: regions(None).lines,
    "names of languages": lambda: names_of_languages().lines,
    "last names": lambda: list(dict.fromkeys(name for _, name in last_names())),
}
"""Description -> all lines of a kind."""


def write(directory: Path, lines: list[str], size: int, seed: int) -> list[str]:
    """Write lines to train on and others to test on, without characters that are new; returns the options."""
    lines = [lines[i] for i in np.random.default_rng(seed).permutation(len(lines))]
    characters = set("".join(lines[:size]))
    others = [line for line in lines[size:] if characters.issuperset(line)][:_OTHERS]
    (directory / "train.txt").write_text("\n".join(lines[:size]) + "\n", encoding="utf-8")
    (directory / "test.txt").write_text("\n".join(others) + "\n", encoding="utf-8")
    return [f"--data.path={directory / 'train.txt'}", f"--data.test_path={directory / 'test.txt'}"]


def measure(kind: str, size: int, seed: int) -> list[dict[str, float]]:
    """The metrics of the test lines and of samples, of each configuration."""
    metrics = []
    with tempfile.TemporaryDirectory() as home:
        options = [*write(Path(home), KINDS[kind](), size, seed), f"--seed_everything={seed}"]
        for config in CONFIGS:
            run_dir = fit(Path(home), config, *options, threads=1)
            tested = sequentia(Path(home), "test", f"--ckpt_path={run_dir}", "--format=json", threads=1)
            metrics.append(json.loads(tested))
    return metrics


def run(quick: bool) -> str:
    """Train on every size of every kind with each seed, as many at a time as there are cores; returns the table."""
    table = Table("data", "lines", "seeds", *(f"test NLL, {config}" for config in CONFIGS), "lower with", "near copies")
    seeds = 1 if quick else SEEDS
    cases = [(kind, size) for kind in KINDS for size in (SIZES[:1] if quick else SIZES)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [(*case, seed) for case in cases for seed in range(seeds)]
        measured = pool.map(lambda job: measure(*job), jobs)
        for kind, size in cases:
            ngram, mixture = zip(*(next(measured) for _ in range(seeds)), strict=True)
            lower = sum(m["test/loss"] < n["test/loss"] for n, m in zip(ngram, mixture, strict=True))
            means = (f"{statistics.mean(run['test/loss'] for run in runs):.3f}" for runs in (ngram, mixture))
            copies = statistics.mean(run["test/samples_near_copies"] for run in mixture)
            table.add(kind, f"{size:,}", seeds, *means, f"{lower} of {seeds} seeds", f"{copies:.0%}")
    return f"## Few lines\n\n{table}\n"

"""The Transformer on data that it was not tuned on, with no option but `--data.path`."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.commands import fit
from benchmarks.quality.datasets import DATASETS, Data
from benchmarks.report import Table
from sequentia.data import CharDataModule
from sequentia.runs.history import read_history


def validation_nlls(run_dir: Path) -> list[float]:
    """NLL at each validation of a run."""
    return list(read_history(run_dir)["val/loss"].values())


def source_nll(data: Data, module: CharDataModule) -> str:
    """NLL per character of the validation lines under their source: a lower bound, up to sampling noise."""
    if data.nll is None:
        return ""
    lines = module.split.val
    return f"{data.nll[lines].sum() / module.corpus.num_targets(lines).sum():.3f}"


def row(data: Data, directory: Path, *options: str) -> tuple[object, ...]:
    """Train on a dataset, on one thread; returns the cells of its row."""
    path = directory / "lines.txt"
    path.write_text("\n".join(data.lines) + "\n", encoding="utf-8")
    own = f"--data.path={path}"
    bigram, ngram = (validation_nlls(fit(directory, name, own, threads=1))[-1] for name in ("bigram_counts", "ngram"))
    transformer = fit(directory, "transformer", own, *options, threads=1)
    nlls = validation_nlls(transformer)
    module = CharDataModule(str(path))
    return (
        *(f"{len(data.lines):,}", len(set("".join(data.lines))), max(map(len, data.lines)), source_nll(data, module)),
        *(f"{nll:.3f}" for nll in (bigram, ngram, nlls[-1], min(nlls))),
        f"{max(read_history(transformer)['vitals/seconds'].values()):.0f}",
    )


def run(quick: bool) -> str:
    """Train on each dataset, as many at a time as there are cores; returns the table."""
    table = Table(
        *("data", "lines", "distinct characters", "longest line", "source", "bigram", "n-gram"),
        *("transformer, at the end", "at its best", "transformer, seconds on one core"),
    )
    options = ["--trainer.max_steps=20"] if quick else []
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {}
        for make in DATASETS:
            home = Path(directory) / make.__name__
            home.mkdir()
            jobs[make.__name__] = pool.submit(row, make(), home, *options)
        for name, job in jobs.items():
            table.add(name, *job.result())
    return f"## Other data\n\nNLL of the validation lines, in nats per character:\n\n{table}\n"

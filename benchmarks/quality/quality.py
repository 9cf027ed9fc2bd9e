"""Quality on names.txt: test NLL of the shipped configurations on two splits, over several seeds."""

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.commands import architectures, fit, sequentia
from benchmarks.report import Table
from benchmarks.speed.textbook import Lines, train
from benchmarks.speed.training import LR
from sequentia.data import CharDataModule, Corpus, EvalBatches
from sequentia.models import ARCHITECTURES

NAMES = Path(__file__).parents[3] / "shared" / "data" / "names.txt"
PARTS = ("train", "val", "test")
SEEDS = 5
_TEXTBOOK_BATCH = 32
TWO_SPLITS = ("transformer", "ngram")
TEXTBOOK = ("bow", "rnn", "gru", "lstm")
"""Configurations whose architecture the textbook loop trains for the same time, at its default size."""


def write_split(directory: Path, split: str) -> list[str]:
    """Write the files of split A or B; returns the options that select them.

    A splits all lines, so that equal lines may appear in two parts; B splits the distinct lines, in order of first
    appearance. Of a random permutation, the last 1,000 lines are test and the 1,000 before them validation.
    """
    if not NAMES.is_file():
        raise SystemExit(f"no file {NAMES}: copy makemore's names.txt there, which the reference results are for")
    lines = NAMES.read_text().split()
    if split == "B":
        lines = list(dict.fromkeys(lines))
    order = torch.randperm(len(lines), generator=torch.Generator().manual_seed(3407)).tolist()
    for part, indices in zip(PARTS, (order[:-2000], order[-2000:-1000], order[-1000:]), strict=True):
        (directory / f"{split}_{part}.txt").write_text("\n".join(lines[i] for i in indices) + "\n")
    train, val, test = (directory / f"{split}_{part}.txt" for part in PARTS)
    return [f"--data.path={train}", f"--data.val_path={val}", f"--data.test_path={test}"]


class Result(NamedTuple):
    """Training time and NLLs of a run."""

    seconds: float
    val: float
    test: float


def fit_and_evaluate(directory: Path, config: str, *options: str, threads: int | None = None) -> Result:
    """Train a shipped configuration in a new process, by default on all cores, and evaluate its best checkpoint.

    The seconds include start-up and validation.
    """
    start = time.perf_counter()
    run_dir = fit(directory, config, *options, threads=threads)
    seconds = time.perf_counter() - start
    val, test = (
        json.loads(sequentia(directory, command, f"--ckpt_path={run_dir}", "--format=json", threads=threads))
        for command in ("validate", "test")
    )
    result = Result(seconds, val["val/loss"], test["test/loss"])
    # Printed at once, because the tables take hours.
    print(f"{config} {' '.join(options)}: {result}", file=sys.stderr, flush=True)
    return result


def fit_split(config: str, split: str, seed: int, *options: str, threads: int | None = None) -> Result:
    """`fit_and_evaluate` on a split of names.txt."""
    with tempfile.TemporaryDirectory() as home:
        seeded = f"--seed_everything={seed}"
        return fit_and_evaluate(Path(home), config, *write_split(Path(home), split), seeded, *options, threads=threads)


def fit_in_parallel(jobs: list[tuple[str, str, int]], *options: str) -> list[Result]:
    """`fit_split` each (configuration, split, seed), as many in parallel as there are cores, with one thread each."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: fit_split(*job, *options, threads=1), jobs))


def with_default_init(name: str, data: CharDataModule) -> Any:
    """A model with PyTorch's default initialization and an untied head."""
    architecture: Any = ARCHITECTURES[name]
    arguments = data.vocabulary.characters, data.context_length
    if name != "Transformer":
        return architecture(*arguments)
    transformer = architecture(*arguments, tied=False)
    # GPT-2's initialization is not part of the textbook loop, and learns more slowly at the loop's learning rate.
    for module in transformer.modules():
        if isinstance(module, (nn.Embedding, nn.LayerNorm, nn.Linear)):
            module.reset_parameters()
    return transformer


def textbook(name: str, split: str, seed: int, max_seconds: float = math.inf, steps: int | None = None) -> Result:
    """Train an architecture with the textbook loop for a given time or number of steps."""
    with tempfile.TemporaryDirectory() as directory:
        path, val_path, test_path = (option.split("=")[1] for option in write_split(Path(directory), split))
        data = CharDataModule(path, val_path, test_path)
        corpus, lines_of = data.corpus, data.split  # both are read on first use: now, while the files exist
    torch.manual_seed(seed)
    model = with_default_init(name, data)
    texts = [corpus.line(int(i)) for i in lines_of.train]
    lines = Lines(texts, data.vocabulary.characters, corpus.longest)

    def order() -> Iterator[int]:
        rng = np.random.default_rng(seed)
        while True:
            yield from rng.permutation(len(lines)).tolist()

    indices = islice(order(), None if steps is None else steps * _TEXTBOOK_BATCH)
    trained = train(model, lines, indices, _TEXTBOOK_BATCH, LR, max_seconds)
    val, test = (nll(trained.model, corpus, part) for part in (lines_of.val, lines_of.test))
    result = Result(sum(trained.seconds), val, test)
    print(f"textbook {name} {split} {seed}: {result}", file=sys.stderr, flush=True)
    return result


def nll(model: Any, corpus: Corpus, lines: NDArray[Any]) -> float:
    """NLL in nats per character."""
    total = characters = 0.0
    with torch.inference_mode():
        for batch in EvalBatches(corpus, lines, 500):
            total += model.nll_sum(batch).item()
            characters += batch.total
    return total / characters


def mean_and_deviation(values: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"


def fit_all(cases: tuple[tuple[str, str], ...], seeds: int, *options: str) -> Iterator[tuple[str, str, list[Result]]]:
    """Train each configuration on each of its splits with each seed; yields configuration, split and results."""
    pairs = [(config, split) for config, splits in cases for split in splits]
    results = iter(fit_in_parallel([(*pair, seed) for pair in pairs for seed in range(seeds)], *options))
    for config, split in pairs:
        yield config, split, [next(results) for _ in range(seeds)]


def cells(config: str, split: str, results: list[Result]) -> tuple[object, ...]:
    """A table row, as in `HEADER` and with the seconds, for all seeds of a configuration on a split."""
    seconds, val, test = (list(column) for column in zip(*results, strict=True))
    return (
        *(config, split, len(results), mean_and_deviation(test), f"{min(test):.4f}", f"{max(test):.4f}"),
        *(mean_and_deviation(val), f"{statistics.median(seconds):.0f}"),
    )


def run(quick: bool) -> str:
    """Train each configuration on its splits with each seed; returns the tables."""
    seeds, short = (1, ["--trainer.max_steps=20"]) if quick else (SEEDS, [])
    table = Table(
        *("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL"),
        *("seconds on one core", "textbook loop's test NLL in the same time"),
    )
    names = architectures()
    cases = tuple((config, "AB" if config in TWO_SPLITS else "A") for config in names)
    trained = list(fit_all(cases, seeds, *short))
    # One thread each, like the runs that they are compared with.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        loops = {
            config: pool.submit(textbook, names[config], split, 0, statistics.median(r.seconds for r in results))
            for config, split, results in trained
            if config in TEXTBOOK
        }
    for config, split, results in trained:
        loop = f"{loops[config].result().test:.4f}" if config in loops else ""
        table.add(*cells(config, split, results), loop)
    return f"## Quality\n\n{table}\n"

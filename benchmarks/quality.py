"""The best names a few minutes buy: test NLL of the shipped configurations on two splits of names.txt, over seeds."""

import math
import os
import re
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

from benchmarks.architectures import CONFIGS, sequentia
from benchmarks.report import Table
from benchmarks.textbook import Lines, train
from benchmarks.training import LR
from sequentia.data import CharDataModule, Corpus, EvalBatches
from sequentia.models import ARCHITECTURES

NAMES = Path(__file__).parents[2] / "shared" / "data" / "names.txt"
SIDES = ("train", "val", "test")
SEEDS = 5
HEADER = ("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL")
_BATCH = 32  # the textbook loop's
CASES = (
    ("transformer", "AB"),
    *((name, "A") for name in ("bow", "mlp", "rnn", "gru", "lstm", "cnn")),
)
"""Config, and the splits it is trained on."""
TEXTBOOK = {"bow": "BagOfWords", "rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
"""Config -> architecture that the textbook loop trains for as long, at the same size."""


def split(directory: Path, name: str) -> list[str]:
    """Write the lines of one split; returns the options that name them.

    A takes the lines as they are, so that equal lines fall to both sides; B the distinct ones in their first order.
    The last 1,000 of a random order are test, the 1,000 before them validation.
    """
    if not NAMES.is_file():
        raise SystemExit(f"no {NAMES}: put makemore's names.txt there, which the reference figures are for")
    lines = NAMES.read_text().split()
    if name == "B":
        lines = list(dict.fromkeys(lines))
    order = torch.randperm(len(lines), generator=torch.Generator().manual_seed(3407)).tolist()
    parts = dict(zip(SIDES, (order[:-2000], order[-2000:-1000], order[-1000:]), strict=True))
    for side, part in parts.items():
        (directory / f"{name}_{side}.txt").write_text("\n".join(lines[i] for i in part) + "\n")
    train, val, test = (directory / f"{name}_{side}.txt" for side in SIDES)
    return [f"--data.path={train}", f"--data.val_path={val}", f"--data.test_path={test}"]


def figure(text: str, name: str) -> float:
    """One figure out of what `sequentia test` and `validate` print."""
    found = re.search(rf"{name}/loss\D*([\d.]+)", text)
    assert found, text
    return float(found[1])


class Trained(NamedTuple):
    """What a run took and reached."""

    seconds: float
    val: float
    test: float


def fit(config: str, split_name: str, seed: int, threads: int | None, *more: str) -> Trained:
    """Train as shipped in a process of its own, and evaluate its best checkpoint; seconds are of the whole `fit`."""
    with tempfile.TemporaryDirectory() as directory:
        data = split(Path(directory), split_name)
        options = [f"--config={CONFIGS}/{config}.yaml", *data, f"--seed_everything={seed}", *more]
        start = time.perf_counter()
        sequentia(directory, "fit", *options, threads=threads)
        seconds = time.perf_counter() - start
        val, test = (sequentia(directory, command, *options, threads=threads) for command in ("validate", "test"))
    done = Trained(seconds, figure(val, "val"), figure(test, "test"))
    # An hour's tables come at its end: what is done is told at once.
    print(f"{config} {split_name} {seed} {' '.join(more)}: {done}", file=sys.stderr, flush=True)
    return done


def side_by_side(jobs: list[tuple[str, str, int]], *more: str) -> list[Trained]:
    """`fit` each config on a split with a seed, as many at a time as there are cores, one thread each."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: fit(job[0], job[1], job[2], 1, *more), jobs))


def as_tutorials(name: str, data: CharDataModule) -> Any:
    """An architecture whose weights start as PyTorch's modules have them, and share nothing."""
    architecture: Any = ARCHITECTURES[name]
    arguments = data.vocabulary.characters, data.context_length
    if name != "Transformer":
        return architecture(*arguments)
    transformer = architecture(*arguments, tied=False)
    # GPT-2's start is a part of what the loop is compared with, and slower to learn at the loop's rate.
    for module in transformer.modules():
        if isinstance(module, (nn.Embedding, nn.LayerNorm, nn.Linear)):
            module.reset_parameters()
    return transformer


def textbook(name: str, split_name: str, seed: int, most: float = math.inf, steps: int | None = None) -> Trained:
    """What the textbook loop with its constant rate reaches after so many seconds or steps."""
    with tempfile.TemporaryDirectory() as directory:
        path, val_path, test_path = (option.split("=")[1] for option in split(Path(directory), split_name))
        data = CharDataModule(path, val_path, test_path)
        corpus, lines_of = data.corpus, data.split  # read while the files are there
    torch.manual_seed(seed)
    model = as_tutorials(name, data)
    train_lines = Lines([corpus.line(int(i)) for i in lines_of.train], data.vocabulary.characters)
    train_lines.longest = corpus.longest

    def order() -> Iterator[int]:
        draw = np.random.default_rng(seed)
        while True:
            yield from draw.permutation(len(train_lines)).tolist()

    lines = islice(order(), None if steps is None else steps * _BATCH)
    trained = train(model, train_lines, lines, _BATCH, LR, most)
    sides = (lines_of.val, lines_of.test)
    done = Trained(sum(trained.seconds), *(nll(trained.model, corpus, side) for side in sides))
    print(f"textbook {name} {split_name} {seed}: {done}", file=sys.stderr, flush=True)
    return done


def nll(model: Any, corpus: Corpus, lines: NDArray[Any]) -> float:
    """Nats per character of some lines."""
    total = characters = 0.0
    with torch.inference_mode():
        for batch in EvalBatches(corpus, lines, 500):
            total += model.nll_sum(batch).item()
            characters += batch.total
    return total / characters


def spread(figures: list[float]) -> str:
    """Mean and standard deviation."""
    deviation = f" ± {statistics.stdev(figures):.4f}" if len(figures) > 1 else ""
    return f"{statistics.mean(figures):.4f}{deviation}"


def rows(cases: tuple[tuple[str, str], ...], seeds: int, *more: str) -> Iterator[tuple[str, str, list[Trained]]]:
    """Each configuration on each split, with all seeds side by side."""
    runs = [(config, name) for config, names in cases for name in names]
    done = iter(side_by_side([(*run, seed) for run in runs for seed in range(seeds)], *more))
    for config, name in runs:
        yield config, name, [next(done) for _ in range(seeds)]


def cells(config: str, name: str, done: list[Trained]) -> tuple[object, ...]:
    """The cells that describe runs of one configuration on one split."""
    seconds, val, test = (list(column) for column in zip(*done, strict=True))
    return (
        *(config, name, len(done), spread(test), f"{min(test):.4f}", f"{max(test):.4f}", spread(val)),
        f"{statistics.median(seconds):.0f}",
    )


def alone(config: str, splits: str, seed: int, *more: str) -> str:
    """A table of one run on each split that has the machine to itself."""
    table = Table(*HEADER, "seconds on all cores")
    for name in splits:
        table.add(*cells(config, name, [fit(config, name, seed, None, *more)]))
    return f"Nothing else on the machine:\n\n{table}"


def run(quick: bool) -> str:
    """Train each configuration on each split with each seed; returns the tables."""
    seeds, short = (1, ["--trainer.max_steps=20"]) if quick else (SEEDS, [])
    table = Table(*HEADER, "seconds on one core", "textbook loop's test NLL after as long")
    done = list(rows(CASES, seeds, *short))
    # One thread each, as the runs they are compared with.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        theirs = {
            case: pool.submit(textbook, TEXTBOOK[case], name, 0, statistics.median(one.seconds for one in runs))
            for case, name, runs in done
            if case in TEXTBOOK
        }
    for config, name, runs in done:
        loop = f"{theirs[config].result().test:.4f}" if config in theirs else ""
        table.add(*cells(config, name, runs), loop)
    return f"## Quality\n\n{table}\n\n{alone('transformer', 'AB', 0, *short)}\n"

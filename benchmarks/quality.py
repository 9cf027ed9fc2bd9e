"""The best names a few minutes buy: test NLL of the shipped configurations on two splits of names.txt, over seeds."""

import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.architectures import CONFIGS, sequentia
from benchmarks.report import Table
from benchmarks.textbook import Lines, train
from sequentia.data import CharDataModule, EvalBatches
from sequentia.models import ARCHITECTURES, LanguageModel

NAMES = Path(__file__).parents[2] / "shared" / "data" / "names.txt"
SIDES = ("train", "val", "test")
SEEDS = 5
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
    return Trained(seconds, figure(val, "val"), figure(test, "test"))


def side_by_side(jobs: list[tuple[str, str, int]], *more: str) -> list[Trained]:
    """`fit` each config on a split with a seed, as many at a time as there are cores, one thread each."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda job: fit(job[0], job[1], job[2], 1, *more), jobs))


def textbook(name: str, split_name: str, seed: int, most: float) -> float:
    """Test NLL of the textbook loop with its constant rate after so many seconds, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        path, val_path, test_path = (option.split("=")[1] for option in split(Path(directory), split_name))
        data = CharDataModule(path, val_path, test_path)
    torch.manual_seed(seed)
    model: LanguageModel = ARCHITECTURES[name](data.vocabulary.characters, data.context_length)
    lines = Lines([data.corpus.line(int(i)) for i in data.split.train], data.vocabulary.characters)
    lines.longest = data.corpus.longest

    def order() -> Iterator[int]:
        draw = np.random.default_rng(seed)
        while True:
            yield from draw.permutation(len(lines)).tolist()

    trained = train(model, lines, order(), 32, 5e-4, most).model
    torch.set_num_threads(threads)
    total = characters = 0.0
    with torch.inference_mode():
        for batch in EvalBatches(data.corpus, data.split.test, 500):
            total += trained.nll_sum(batch).item()  # type: ignore[operator]
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


def run(quick: bool) -> str:
    """Train each configuration on each split with each seed; returns the tables."""
    seeds, short = (1, ["--trainer.max_steps=20"]) if quick else (SEEDS, [])
    header = ("config", "split", "seeds", "test NLL", "lowest", "highest", "validation NLL")
    table = Table(*header, "seconds on one core", "textbook loop's test NLL after as long")
    for config, name, done in rows(CASES, seeds, *short):
        seconds = statistics.median(trained.seconds for trained in done)
        theirs = f"{textbook(TEXTBOOK[config], name, 0, seconds):.4f}" if config in TEXTBOOK else ""
        table.add(*cells(config, name, done), theirs)
    alone = Table(*header, "seconds on all cores")
    for name in "AB":
        alone.add(*cells("transformer", name, [fit("transformer", name, 0, None, *short)]))
    return f"## Quality\n\n{table}\n\nNothing else on the machine:\n\n{alone}\n"

"""Growth: ten million lines against thirty thousand."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.report import Table
from benchmarks.sampling import trained
from sequentia.checkpoint import load_model
from sequentia.sampling import generate

_PROGRAM = """
import json, sys, time
import torch
from benchmarks.memory import peak
from benchmarks.training import LR
from sequentia.data import CharDataModule
from sequentia.models import Transformer

before, start = peak(), time.perf_counter()
data = CharDataModule(sys.argv[1], batch_size=256)
data.setup("fit")
batches = iter(data.train_dataloader())
next(batches)
ready, memory = time.perf_counter() - start, peak() - before
model = Transformer(data.vocabulary.characters, data.context_length)
optimizer = torch.optim.AdamW(model.parameters(), lr=LR, fused=True)
seconds = []
for batch in batches:
    start = time.perf_counter()
    loss = model.nll_sum(batch) / batch.total
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    following = next(batches, None)
    seconds.append((time.perf_counter() - start) / (batch.total + 0.0))
    if len(seconds) == int(sys.argv[2]):
        break
print(json.dumps([ready, memory, data.corpus.characters, len(data.corpus), seconds]))
"""
"""What one process does with a file: time and memory until the first batch, then seconds a character of each step."""


Figures = tuple[float, float, int, int, list[float]]
"""Seconds and bytes of memory until ready, characters, lines, and seconds a character of each step."""


def measure(path: str, steps: int, cache: str) -> Figures:
    """Run `_PROGRAM` in a process of its own, with a cache of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, path, str(steps)],
        env={**os.environ, "XDG_CACHE_HOME": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    ready, memory, characters, lines, seconds = json.loads(done.stdout)
    return ready, memory, characters, lines, seconds


def write_samples(where: Path, path: Path, lines: int) -> None:
    """A file of so many lines, drawn from the model and repeated in random order: its own kind of data."""
    model = load_model(where / "best.ckpt")
    drawn = np.array([sample.text for sample in generate(model, 100_000, seed=0, min_length=1)])
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, lines, 1_000_000):
            file.write("\n".join(rng.choice(drawn, min(1_000_000, lines - start))) + "\n")


def run(quick: bool) -> str:
    """Measure; returns the table."""
    large, steps, rounds = (1_000_000, 30, 1) if quick else (10_000_000, 60, 3)
    table = Table(
        "lines", "ready, s", "again, from the cache, s", "bytes of memory a character", "step time a character"
    )
    with tempfile.TemporaryDirectory() as root:
        where = trained(root, quick)
        figures: dict[int, tuple[Path, Figures, list[Figures]]] = {}
        for lines in (32_000, large):
            path = Path(root) / f"{lines}.txt"
            write_samples(where, path, lines)
            first = measure(str(path), 1, f"{root}/cache")
            figures[lines] = (path, first, [])
        for _ in range(rounds):
            for path, _, again in figures.values():
                again.append(measure(str(path), steps, f"{root}/cache"))
        base = None
        for lines, (_, first, again) in figures.items():
            step = statistics.median(s for figure in again for s in figure[4][3:])
            base = base or step
            cached = statistics.median(figure[0] for figure in again)
            table.add(f"{lines:,}", first[0], cached, first[1] / first[2], f"{step / base:.2f}")
    return f"## Growth\n\nAims: ready in 15 s, 8 bytes a character, step time within 5%.\n\n{table}\n"

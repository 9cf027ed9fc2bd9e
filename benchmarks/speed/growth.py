"""Growth with the data: ten million lines compared with thirty thousand."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.report import Table
from benchmarks.speed.sampling import train_transformer
from sequentia.inference.sampling import generate
from sequentia.runs.checkpoint import load

_PROGRAM = """
import json, sys, time
import torch
from benchmarks.speed.memory import peak
from benchmarks.speed.training import LR
from sequentia.data import CharDataModule
from sequentia.models import Transformer

path, steps = sys.argv[1], int(sys.argv[2])
before, start = peak(), time.perf_counter()
data = CharDataModule(path, batch_size=256)
data.setup("fit")
batches = iter(data.train_dataloader())
batch = next(batches)
ready, memory = time.perf_counter() - start, peak() - before
model = Transformer(data.vocabulary.characters, data.context_length)
optimizer = torch.optim.AdamW(model.parameters(), lr=LR, fused=True)
step_seconds = []
while batch is not None and len(step_seconds) < steps:
    start = time.perf_counter()
    loss = model.nll_sum(batch) / batch.total
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    following = next(batches, None)  # making a batch is part of a step
    step_seconds.append((time.perf_counter() - start) / batch.total)
    batch = following
print(json.dumps([ready, memory, data.corpus.num_characters, step_seconds]))
"""
"""Prints a `Measurement` of the file argv[1], with argv[2] steps, as JSON."""


class Measurement(NamedTuple):
    """The measurements of one process.

    Attributes:
        ready: Seconds until the first batch.
        memory: Bytes by which the peak memory had grown by then.
        characters: Characters of the data.
        step_seconds: Seconds per predicted character of each training step.
    """

    ready: float
    memory: int
    characters: int
    step_seconds: list[float]


def measure(path: Path, steps: int) -> Measurement:
    """Run `_PROGRAM` in a new process."""
    command = [sys.executable, "-c", _PROGRAM, str(path), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Measurement(*json.loads(done.stdout))


def write_samples(run_dir: Path, path: Path, num_lines: int) -> None:
    """Write lines drawn at random, with repetition, from 100,000 samples of a model."""
    model = load(run_dir / "best.ckpt")
    samples = np.array([sample.text for sample in generate(model, 100_000, seed=0, min_length=1)])
    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, num_lines, 1_000_000):
            file.write("\n".join(rng.choice(samples, min(1_000_000, num_lines - start))) + "\n")


def run(quick: bool) -> str:
    """Measure; returns the table."""
    large, steps, rounds = (1_000_000, 30, 1) if quick else (10_000_000, 60, 3)
    table = Table(
        *("lines", "seconds to first batch", "bytes of memory per character", "relative step time per character")
    )
    with tempfile.TemporaryDirectory() as root:
        run_dir = train_transformer(root, quick)
        measured: dict[Path, list[Measurement]] = {Path(root) / f"{lines}.txt": [] for lines in (32_000, large)}
        for path in measured:
            write_samples(run_dir, path, int(path.stem))
        for _ in range(rounds):
            for path, measurements in measured.items():
                measurements.append(measure(path, steps))
    base = None
    for path, measurements in measured.items():
        step = statistics.median(seconds for each in measurements for seconds in each.step_seconds[3:])
        base = base or step
        ready = statistics.median(each.ready for each in measurements)
        memory = measurements[0].memory / measurements[0].characters
        table.add(f"{int(path.stem):,}", ready, memory, f"{step / base:.2f}")
    return f"## Growth\n\n{table}\n"

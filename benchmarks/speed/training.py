"""Training speed: `sequentia fit`, the textbook loop and a bare loop, with the same initial weights and batches."""

import copy
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.commands import fit_here
from benchmarks.report import Table
from benchmarks.speed.clock import Clock
from benchmarks.speed.textbook import Lines, train
from sequentia.data import TrainBatches

LR = 5e-4
CASES = (
    ("transformer", "Transformer", 32),
    ("transformer", "Transformer", 256),
    ("rnn", "RNN", 32),
    ("gru", "GRU", 32),
    ("mlp", "MLP", 32),
    ("bow", "BagOfWords", 32),
    ("bigram", "Bigram", 32),
    ("bigram", "Bigram", 4096),
)
"""Configuration, architecture and batch size."""

WITH_DROPOUT = ("transformer", "rnn", "gru", "mlp")

_WARMUP = 5  # steps that are not counted, while caches fill and threads start


def fit(config: str, batch_size: int, steps: int, *options: str) -> None:
    """Run `sequentia fit` with the textbook loop's optimizer and no dropout, so that the losses of both must agree.

    `Clock` has the results.
    """
    options = (
        "--trainer.callbacks=benchmarks.speed.clock.Clock",
        f"--data.batch_size={batch_size}",
        "--optimizer=torch.optim.AdamW",
        f"--optimizer.lr={LR}",
        "--optimizer.weight_decay=0.01",
        "--optimizer.betas=[0.9,0.99]",
        "--optimizer.fused=true",
        "--lr_scheduler=null",
        *(["--model.dropout=0"] if config in WITH_DROPOUT else []),
        *options,
    )
    with tempfile.TemporaryDirectory() as root:
        fit_here(Path(root), config, steps, *options)


def bare(model: nn.Module, batches: TrainBatches, steps: int) -> list[float]:
    """Train without trainer, logging or checkpoints: a lower bound for any trainer.

    Returns:
        Seconds of each step.
    """
    model = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.99), fused=True)
    seconds: list[float] = []
    epoch = 0
    start = time.perf_counter()
    while len(seconds) < steps:
        batches.progress = lambda epoch=epoch: (epoch, 0)  # type: ignore[misc]
        for batch in batches:
            loss = model.nll_sum(batch) / batch.total  # type: ignore[operator]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            now = time.perf_counter()
            seconds.append(now - start)
            start = now
            if len(seconds) == steps:
                break
        epoch += 1
    return seconds


def run(quick: bool) -> str:
    """Measure all cases; returns the tables."""
    # Many short rounds, because the load of a shared machine changes within seconds.
    rounds, steps = (1 if quick else 7), 55
    speed = Table(
        *("architecture", "batch", "textbook ms", "fit ms", "speedup"),
        *("bare ms", "fit / bare", "largest loss difference"),
    )
    padding = Table("batch", "padding in packed rows", "padding to the longest line")
    for config, name, batch_size in CASES:
        times: dict[str, list[float]] = {"textbook": [], "fit": [], "bare": []}
        difference = 0.0
        for _ in range(rounds):
            fit(config, batch_size, steps)
            assert Clock.model is not None
            assert type(Clock.model).__name__ == name
            data = Clock.datamodule
            # The last batch of an epoch is smaller; only the batches before it can be compared.
            count = min(steps, len(data.split.train) // batch_size)
            order = np.random.default_rng([data.seed, 0]).permutation(data.split.train)  # that of `fit`
            texts = [data.corpus.line(i) for i in order[: count * batch_size].tolist()]
            lines = Lines(texts, data.vocabulary.characters, data.corpus.longest)
            _, seconds, losses = train(Clock.model, lines, range(len(lines)), batch_size, LR)
            batches = TrainBatches(data.corpus, data.split.train, batch_size, data.seed)
            times["textbook"] += seconds[min(_WARMUP, count - 1) :]
            times["fit"] += Clock.seconds[_WARMUP:]
            times["bare"] += bare(Clock.model, batches, steps)[_WARMUP:]
            difference = max(difference, *(abs(a - b) for a, b in zip(losses[:50], Clock.losses[:50], strict=False)))
        textbook_ms, fit_ms, bare_ms = (1000 * statistics.median(times[k]) for k in ("textbook", "fit", "bare"))
        speed.add(
            *(name, batch_size, textbook_ms, fit_ms, textbook_ms / fit_ms),
            *(bare_ms, fit_ms / bare_ms, f"{difference:.1e}"),
        )
    for batch_size in (32, 256, 4096):
        batches = TrainBatches(data.corpus, data.split.train, batch_size, 0)
        targets = [batch.target for batch in batches]
        used = sum(int((t >= 0).sum()) for t in targets)
        unpacked = len(data.split.train) * (data.corpus.longest + 1)
        padding.add(batch_size, f"{1 - used / sum(t.numel() for t in targets):.1%}", f"{1 - used / unpacked:.1%}")
    return f"## Training\n\n{speed}\n\n{padding}\n"

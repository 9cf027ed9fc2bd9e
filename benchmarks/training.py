"""Training: `sequentia fit` against the textbook loop and a bare loop, on the same batches from the same weights."""

import copy
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.clock import Clock
from benchmarks.report import Table
from benchmarks.textbook import Lines, train
from sequentia.cli import main
from sequentia.data import CharDataModule, TrainBatches

CONFIGS = Path(__file__).parents[1] / "configs"
LR = 5e-4
CASES = (
    ("transformer", "Transformer", 32, 3.0),
    ("transformer", "Transformer", 256, 4.0),
    ("rnn", "RNN", 32, 4.0),
    ("gru", "GRU", 32, 4.0),
    ("mlp", "MLP", 32, 4.0),
    ("bow", "BagOfWords", 32, 4.0),
    ("bigram", "Bigram", 32, 2.0),
    ("bigram", "Bigram", 4096, 5.0),
)
"""Config, architecture, batch size, and the least ratio aimed at."""

WITH_DROPOUT = ("transformer", "rnn", "gru", "mlp")

_WARMUP = 5  # steps that are not counted: caches fill, threads start


def fit(config: str, batch_size: int, steps: int, *more: str) -> None:
    """Run `sequentia fit`, leaving its figures on Clock."""
    with tempfile.TemporaryDirectory() as root:
        code = main(
            [
                "fit",
                f"--config={CONFIGS}/{config}.yaml",
                f"--data.batch_size={batch_size}",
                "--optimizer=torch.optim.AdamW",
                f"--optimizer.lr={LR}",
                "--optimizer.weight_decay=0.01",
                "--optimizer.betas=[0.9,0.99]",
                "--optimizer.fused=true",
                "--lr_scheduler=null",
                f"--trainer.max_steps={steps}",
                "--trainer.val_check_interval=1000000",
                "--trainer.callbacks=benchmarks.clock.Clock",
                f"--trainer.default_root_dir={root}",
                *(["--model.dropout=0"] if config in WITH_DROPOUT else []),  # else the losses have no cause to agree
                "--trainer.accelerator=cpu",
                *more,
            ]
        )
    assert code == 0


def bare(model: nn.Module, batches: TrainBatches, steps: int) -> list[float]:
    """The least that these batches and this model cost: no trainer, no log, no checkpoint. Seconds of each step."""
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


def order_of(data: CharDataModule, lines: int) -> list[int]:
    """The first `lines` training lines in the order that `fit` takes them, over as many epochs as it takes."""
    order: list[int] = []
    while len(order) < lines:
        order += (
            np.random.default_rng([data.seed, len(order) // len(data.split.train)])
            .permutation(data.split.train)
            .tolist()
        )
    return order[:lines]


def run(quick: bool) -> str:
    """Measure all cases; returns the tables."""
    # Many short rounds: what else a shared machine does comes and goes within seconds.
    rounds, steps = (1 if quick else 7), 55
    ratios = Table(
        "architecture", "batch", "textbook ms", "fit ms", "ratio", "aim", "bare ms", "fit / bare", "loss differs by"
    )
    waste = Table("batch", "positions that are padding", "padded to the longest line")
    for config, name, batch_size, aim in CASES:
        times: dict[str, list[float]] = {"textbook": [], "fit": [], "bare": []}
        differs = 0.0
        for _ in range(rounds):
            fit(config, batch_size, steps)
            assert Clock.model is not None
            assert type(Clock.model).__name__ == name
            data = Clock.datamodule
            # An epoch's last batch is smaller: where lines run out within the steps, only whole epochs compare.
            count = min(steps, len(data.split.train) // batch_size)
            lines = Lines([data.corpus.line(i) for i in order_of(data, count * batch_size)], data.vocabulary.characters)
            lines.longest = data.corpus.longest
            _, seconds, losses = train(Clock.model, lines, range(len(lines)), batch_size, LR)
            batches = TrainBatches(data.corpus, data.split.train, batch_size, data.seed)
            times["textbook"] += seconds[min(_WARMUP, count - 1) :]
            times["fit"] += Clock.seconds[_WARMUP:]
            times["bare"] += bare(Clock.model, batches, steps)[_WARMUP:]
            differs = max(differs, *(abs(a - b) for a, b in zip(losses[:50], Clock.losses[:50], strict=False)))
        textbook, ours, least = (1000 * statistics.median(times[k]) for k in ("textbook", "fit", "bare"))
        ratios.add(
            name, batch_size, textbook, ours, textbook / ours, f">= {aim:g}", least, ours / least, f"{differs:.1e}"
        )
    for batch_size in (32, 256, 4096):
        batches = TrainBatches(data.corpus, data.split.train, batch_size, 0)
        targets = [batch.target for batch in batches]
        kept = sum(int((t >= 0).sum()) for t in targets)
        padded = len(data.split.train) * (data.corpus.longest + 1)
        waste.add(batch_size, f"{1 - kept / sum(t.numel() for t in targets):.1%}", f"{1 - kept / padded:.1%}")
    return f"## Training\n\n{ratios}\n\n{waste}\n"

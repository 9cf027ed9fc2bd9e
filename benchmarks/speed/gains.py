"""The time that packing and the fast dropout save: steps of the default `fit` with and without them, taken in turn."""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import numpy as np
from lightning.pytorch import Callback
from numpy.typing import NDArray
from torch import nn

from benchmarks.commands import fit_here
from benchmarks.report import Table

ROUNDS, _BLOCK = 40, 5


def one_line_per_row(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int]]:
    """Replaces `pack`: pads every line to the longest line of the batch."""
    rows = np.arange(len(lengths))
    return rows, np.zeros_like(rows), (len(rows), int(lengths.max(initial=1)))


VARIANTS: dict[str, dict[str, Callable[..., Any]]] = {
    "as shipped": {},
    "one line per row": {"sequentia.data.batches.pack": one_line_per_row},
    "PyTorch's dropout": {"sequentia.models.parts.dropout.Dropout.forward": nn.Dropout.forward},
}
"""Variant -> the functions that it replaces; the first variant is the baseline."""


class InTurn(Callback):
    """Trains a few steps with each variant in turn, within one run, so that all share the state of the machine.

    Attributes:
        milliseconds: Mean step time of each block of each variant. It is on the class because `--trainer.callbacks`
            makes the instance.
    """

    milliseconds: ClassVar[dict[str, list[float]]] = {}

    def __init__(self) -> None:
        self._steps = 0
        self._start = 0.0
        self._patches = ExitStack()
        InTurn.milliseconds = {variant: [] for variant in VARIANTS}

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Start the clock after the first step of a block; at its end, stop it and switch to the next variant."""
        self._steps += 1
        names = list(VARIANTS)
        if self._steps % _BLOCK == 1:
            self._start = time.perf_counter()
        elif self._steps % _BLOCK == 0:
            block = self._steps // _BLOCK - 1
            seconds = (time.perf_counter() - self._start) / (_BLOCK - 1)
            InTurn.milliseconds[names[block % len(names)]].append(1000 * seconds)
            self._patches.close()
            for name, replacement in VARIANTS[names[(block + 1) % len(names)]].items():
                self._patches.enter_context(patch(name, replacement))

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        """Restore the functions that the last variant replaced."""
        self._patches.close()


def run(quick: bool) -> str:
    """Train with every variant in turn; returns the table of ratios between blocks of the same round."""
    rounds = 5 if quick else ROUNDS
    with tempfile.TemporaryDirectory() as root:
        steps = rounds * len(VARIANTS) * _BLOCK
        fit_here(Path(root), "transformer", steps, "--trainer.callbacks=benchmarks.speed.gains.InTurn")
    baseline = next(iter(InTurn.milliseconds.values()))
    table = Table("configs/transformer.yaml", "median step ms", "median ratio to as shipped", "quartiles")
    for variant, times in InTurn.milliseconds.items():
        ratios = [ms / base for ms, base in zip(times, baseline, strict=True)][1:]  # the first round warms up
        low, _, high = statistics.quantiles(ratios, n=4)
        table.add(variant, statistics.median(times), f"{statistics.median(ratios):.2f}", f"{low:.2f} to {high:.2f}")
    return f"## Gains\n\n{table}\n"

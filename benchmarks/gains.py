"""What each measure for speed gains: steps of `sequentia fit` without it, in turn with those as they are."""

import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

import numpy as np
from lightning.pytorch.profilers import PassThroughProfiler
from numpy.typing import NDArray

from benchmarks.clock import Clock
from benchmarks.report import Table
from benchmarks.training import fit

_STEPS, _WARMUP = 55, 5


def no(*_: Any) -> bool:
    """In place of what asks whether something of ours shall be used."""
    return False


def padded(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int]]:
    """In place of `pack`: one line a row."""
    rows = np.arange(len(lengths))
    return rows, np.zeros_like(rows), (len(rows), int(lengths.max(initial=1)))


WITHOUT: dict[str, dict[str, Callable[..., Any]]] = {
    "as it is": {},
    "lines packed into rows": {"sequentia.data.batches.pack": padded},
    "a block and its derivative as one function": {"sequentia.models.block_kernel.usable": no},
    "that, and our own attention and GELU": {
        "sequentia.models.block_kernel.usable": no,
        "sequentia.models.kernels.ours": no,
    },
    "freed memory kept": {"sequentia.cli.keep_freed_memory": no},
    "Lightning without profiler and empty hooks": {
        "sequentia.training.cli.NoProfiler": PassThroughProfiler,
        "sequentia.training.cli.skip_empty_hooks": no,
    },
}
"""Measure, and what stands in for it."""

CASES = (("transformer", 32), ("transformer", 256), ("bigram", 32))


def milliseconds(without: str, config: str, batch_size: int) -> float:
    """Median step of a fit, to be called in a process of its own: what memory it keeps cannot be undone."""
    with ExitStack() as patches:
        for name, substitute in WITHOUT[without].items():
            patches.enter_context(patch(name, substitute))
        fit(config, batch_size, _STEPS)
    return 1000 * statistics.median(Clock.seconds[_WARMUP:])


def run(quick: bool) -> str:
    """Measure; returns the table."""
    rounds = 1 if quick else 5
    times: dict[tuple[str, str, int], list[float]] = {}
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for _ in range(rounds):
            for case in CASES:
                for without in WITHOUT:
                    times.setdefault((without, *case), []).append(pool.submit(milliseconds, without, *case).result())
    table = Table("without", *(f"{config}, batch {batch_size}: ms" for config, batch_size in CASES))
    for without in WITHOUT:
        table.add(without, *(statistics.median(times[without, *case]) for case in CASES))
    return f"## Gains\n\n{table}\n"

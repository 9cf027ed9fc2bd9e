"""What torch.compile costs and buys on this machine: the transformer's steps with and without it."""

import os
import statistics
import tempfile
from unittest.mock import patch

import torch

from benchmarks.clock import Clock
from benchmarks.report import Table
from benchmarks.training import fit

STEPS = 60
_SETTLED = 30  # steps after which no shape is new: each new kind is compiled when it first comes


def run(quick: bool) -> str:
    """Measure; returns the table."""
    table = Table("batch", "fit ms", "compiled ms", "ratio", "seconds until compiled")
    for batch_size in (256,) if quick else (32, 256):
        medians = []
        for compiled in ("false", "true"):
            torch.compiler.reset()
            # With a cache of its own: else what an earlier run compiled is used again.
            with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache):
                fit("transformer", batch_size, STEPS, f"--compile={compiled}")
            medians.append(statistics.median(Clock.seconds[_SETTLED:]))
        wait = sum(Clock.seconds[:_SETTLED]) - _SETTLED * medians[1]
        table.add(batch_size, *(1000 * median for median in medians), medians[0] / medians[1], wait)
    return f"## torch.compile\n\n{table}\n"

"""torch.compile: step time of the transformer with and without it, and the time that compilation takes."""

import os
import statistics
import tempfile
from unittest.mock import patch

import torch

from benchmarks.report import Table
from benchmarks.speed.clock import Clock
from benchmarks.speed.training import fit

STEPS = 60
_COMPILING = 30  # steps in which new shapes may still appear, each of which is compiled


def run(quick: bool) -> str:
    """Measure; returns the table."""
    table = Table("batch", "fit ms", "compiled fit ms", "ratio", "compilation seconds")
    for batch_size in (256,) if quick else (32, 256):
        medians = []
        for compiled in ("false", "true"):
            torch.compiler.reset()
            # An empty cache, so that nothing from an earlier run is reused.
            with tempfile.TemporaryDirectory() as cache, patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache):
                fit("transformer", batch_size, STEPS, f"--compile={compiled}")
            medians.append(statistics.median(Clock.seconds[_COMPILING:]))
        compilation = sum(Clock.seconds[:_COMPILING]) - _COMPILING * medians[1]
        table.add(batch_size, *(1000 * median for median in medians), medians[0] / medians[1], compilation)
    return f"## torch.compile\n\n{table}\n"

"""Every architecture with its shipped configuration: parameters, test NLL, training time, samples."""

import json
import tempfile
import time
from pathlib import Path

from benchmarks.commands import architectures, fit, sequentia
from benchmarks.report import Table
from sequentia.models.counting import Counting
from sequentia.runs.checkpoint import load
from sequentia.runs.directory import BEST


def run(quick: bool) -> str:
    """Train each shipped configuration on the packaged names, with the commands of the README; returns the table."""
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for name in architectures():
            start = time.perf_counter()
            run_dir = fit(Path(directory), name, *(["--trainer.max_steps=100"] if quick else []))
            seconds = time.perf_counter() - start
            which = f"--ckpt_path={run_dir}"
            nll = json.loads(sequentia(Path(directory), "test", which, "--format=json"))["test/loss"]
            samples = sequentia(Path(directory), "sample", which, "--num_samples=5", "--seed=1", "--novel")
            model = load(run_dir / BEST)
            size = model.counts.numel() if isinstance(model, Counting) else sum(p.numel() for p in model.parameters())
            link = f"[{name}](configs/{name}.yaml)"
            rows.append((link, f"{size:,}", f"{nll:.3f}", f"{seconds:.0f}", ", ".join(samples.split("\n")[:-1])))
    table = Table("architecture", "parameters", "test NLL", "seconds to train", "samples")
    for row in sorted(rows, key=lambda row: float(row[2]), reverse=True):
        table.add(*row)
    return f"## Architectures\n\n{table}\n"

"""Every architecture with its shipped configuration: parameters, test NLL, training time, samples."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Table
from sequentia.models.counting import Counting
from sequentia.runs.directory import BEST
from sequentia.runs.loading import load

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = ("bigram_counts", "bigram", "ngram", "bow", "mlp", "rnn", "gru", "lstm", "cnn", "transformer", "mixture")


def sequentia(directory: str, *arguments: str, threads: int | None = None) -> str:
    """Run a `sequentia` command in `directory`, by default on all threads; returns its stdout."""
    command = [sys.executable, "-m", "sequentia", *arguments]
    env = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True, env=env).stdout


def run(quick: bool) -> str:
    """Train each shipped configuration on the packaged names, with the commands of the README; returns the table."""
    table = Table("architecture", "parameters", "test NLL", "seconds to train", "samples")
    with tempfile.TemporaryDirectory() as directory:
        for name in NAMES:
            config = f"--config={CONFIGS}/{name}.yaml"
            start = time.perf_counter()
            sequentia(directory, "fit", config, *(["--trainer.max_steps=100"] if quick else []))
            seconds = time.perf_counter() - start
            run_dir = Path(directory) / "checkpoints" / name / "version_0"
            output = sequentia(directory, "test", config, f"--ckpt_path={run_dir}", "--format=json")
            nll = json.loads(output)["test/loss"]
            samples = sequentia(directory, "sample", f"--ckpt_path={run_dir}", "--num_samples=5", "--seed=1", "--novel")
            model = load(run_dir / BEST)
            size = model.counts.numel() if isinstance(model, Counting) else sum(p.numel() for p in model.parameters())
            link = f"[{name}](configs/{name}.yaml)"
            table.add(link, f"{size:,}", f"{nll:.3f}", f"{seconds:.0f}", ", ".join(samples.split("\n")[:-1]))
    return f"## Architectures\n\n{table}\n"

"""Start-up: how long until something happens, as ratios to the imports that cannot be had faster."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Table
from benchmarks.sampling import CONFIGS, trained


def seconds(arguments: list[str], directory: str) -> float:
    """Wall time of a Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, check=True)
    return time.perf_counter() - start


def run(quick: bool) -> str:
    """Measure; returns the table."""
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as root:
        where = trained(root, quick)
        first_step = [
            "fit",
            f"--config={CONFIGS}/transformer.yaml",
            "--trainer.max_steps=1",
            "--trainer.limit_val_batches=0",
            f"--trainer.default_root_dir={Path(root) / 'first'}",
        ]
        commands = {
            "import torch, lightning.pytorch": ["-c", "import torch, lightning.pytorch"],
            "sequentia --help": ["-m", "sequentia", "--help"],
            "sequentia sample --num_samples 20": [
                "-m",
                "sequentia",
                "sample",
                f"--ckpt_path={where}",
                "--num_samples=20",
            ],
            "sequentia fit, one step and out": ["-m", "sequentia", *first_step],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                times[name].append(seconds(arguments, root))
    table = Table("command", "seconds", "to the imports", "aim")
    imports = statistics.median(times["import torch, lightning.pytorch"][1:])  # the first round warms the disk
    for name, aim in zip(commands, ("", "<= 0.5 s", "<= 1.3", "<= 2"), strict=True):
        median = statistics.median(times[name][1:])
        table.add(name, median, median / imports, aim)
    return f"## Start-up\n\n{table}\n"

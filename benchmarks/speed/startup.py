"""Start-up time of the commands, compared with importing torch and lightning, which is a lower bound."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.commands import CONFIGS
from benchmarks.report import Table
from benchmarks.speed.sampling import train_transformer

IMPORTS = "import torch, lightning.pytorch"


def seconds(arguments: list[str], directory: str) -> float:
    """Wall time of a Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, check=True)
    return time.perf_counter() - start


def run(quick: bool) -> str:
    """Measure; returns the table."""
    rounds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as root:
        run_dir = train_transformer(root, quick)
        one_step = [
            "fit",
            f"--config={CONFIGS}/transformer.yaml",
            "--trainer.max_steps=1",
            "--trainer.limit_val_batches=0",
            f"--trainer.default_root_dir={Path(root) / 'one_step'}",
        ]
        program = ["-m", "sequentia"]
        commands = {
            IMPORTS: ["-c", IMPORTS],
            "sequentia --help": [*program, "--help"],
            "sequentia sample --num_samples 20": [*program, "sample", f"--ckpt_path={run_dir}", "--num_samples=20"],
            "sequentia fit, one step": [*program, *one_step],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                times[name].append(seconds(arguments, root))
    table = Table("command", "seconds", "ratio to the imports")
    imports = statistics.median(times[IMPORTS][1:])  # the first round fills the disk cache
    for name in commands:
        median = statistics.median(times[name][1:])
        table.add(name, median, median / imports)
    return f"## Start-up\n\n{table}\n"

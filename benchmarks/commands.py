"""The command `sequentia` as a user runs it, with the shipped configurations."""

import os
import subprocess
import sys
from pathlib import Path

from sequentia.cli import main
from sequentia.models import ARCHITECTURES

CONFIGS = Path(__file__).parents[1] / "configs"


def architectures() -> dict[str, str]:
    """The shipped configuration of each architecture -> its name."""
    return {model.__module__.rpartition(".")[2]: name for name, model in ARCHITECTURES.items()}


def sequentia(directory: Path, *arguments: str, threads: int | None = None) -> str:
    """Run a `sequentia` command in `directory`, by default on all threads; returns its stdout."""
    command = [sys.executable, "-m", "sequentia", *arguments]
    env = os.environ | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True, env=env).stdout


def fit(directory: Path, config: str, *options: str, threads: int | None = None) -> Path:
    """Train a shipped configuration in a new process; returns the run directory."""
    sequentia(directory, "fit", f"--config={CONFIGS}/{config}.yaml", *options, threads=threads)
    return directory / "checkpoints" / config / "version_0"


def fit_here(directory: Path, config: str, steps: int, *options: str) -> Path:
    """Train a shipped configuration in this process, validating only at the end; returns the run directory."""
    arguments = [f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps}", "--trainer.accelerator=cpu"]
    where = f"--trainer.default_root_dir={directory}"
    assert main(["fit", f"--config={CONFIGS}/{config}.yaml", where, *arguments, *options]) == 0
    return directory / "version_0"

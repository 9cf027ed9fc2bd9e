"""A job that SLURM requeues resumes its own run.

Lightning would save a checkpoint wherever the signal finds the training step, and resume it in a new run directory.
"""

import logging
import os
import shlex
import signal
import subprocess
from pathlib import Path

from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer

_JOB = "slurm_job"  # file in the run directory: number and command line of the job that started the run

REQUEUE = signal.SIGUSR1
"""The signal that `sbatch --signal=SIGUSR1@90` sends 90 seconds before the time limit."""

SIGNALS = {REQUEUE: "SIGUSR1: stopping after this step, to be requeued by SLURM"}

log = logging.getLogger("sequentia")


def environment() -> SLURMEnvironment | None:
    """SLURM's environment without Lightning's own requeueing; None if SLURM did not start this process."""
    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():
        return None
    return SLURMEnvironment(auto_requeue=False)


class RecordJob(Callback):
    """Records in the run directory which job started the run.

    Args:
        run: The run directory.
        arguments: The arguments after the subcommand.
    """

    def __init__(self, run: Path, arguments: list[str]) -> None:
        self._path, self._text = run / _JOB, _job(arguments)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record it."""
        if trainer.is_global_zero:
            self._path.write_text(self._text, encoding="utf-8")


def requeued_run(root: Path, arguments: list[str]) -> Path | None:
    """The run that this job started with the same command line before SLURM restarted it; None if there is none."""
    if SLURMEnvironment.job_id() is None or os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        return None
    runs = [path.parent for path in root.glob(f"**/{_JOB}") if path.read_text(encoding="utf-8") == _job(arguments)]
    return max(runs, key=lambda run: (run / _JOB).stat().st_mtime_ns, default=None)


def requeue() -> None:
    """Ask SLURM to start this job again."""
    job = str(SLURMEnvironment.job_id())
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        subprocess.run(["scontrol", "requeue", job], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning(f"cannot requeue SLURM job {job}: {error}; submit it again with --ckpt_path last")
    else:
        log.info(f"SLURM job {job} is requeued and will resume this run")


def _job(arguments: list[str]) -> str:
    return f"{SLURMEnvironment.job_id()} sequentia fit {shlex.join(arguments)}\n"

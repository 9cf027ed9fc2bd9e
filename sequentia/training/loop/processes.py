"""Several processes: their launcher, and the decisions that they make together."""

import os
from typing import Any

from jsonargparse import Namespace
from lightning.fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer

from sequentia.errors import UserError


def check_launcher(trainer: Namespace) -> None:
    """Make the trainer use all processes of an external launcher. Otherwise each would train a run of its own.

    Without `trainer.devices` the number of processes is adopted.

    Args:
        trainer: Options of the Trainer, changed in place.

    Raises:
        UserError: `trainer.devices` contradicts the launcher or the environment, or the strategy cannot start
            processes.
    """
    strategy = str(trainer.strategy)
    if any(word in strategy for word in ("spawn", "fork", "notebook")):
        raise UserError(f"trainer.strategy {strategy} is for notebooks, not for a command: set --trainer.strategy ddp")
    environment = _launcher()
    if environment is None:
        one_of_several = rank_zero_only.rank > 0 or os.environ.get("WORLD_SIZE", "1") != "1"
        if one_of_several and processes(trainer) == 1:
            raise UserError(
                "RANK, LOCAL_RANK, WORLD_SIZE or SLURM_PROCID say that this is one of several processes, but "
                "trainer.devices asks for one: unset these variables, or start all processes with torchrun"
            )
        return
    started = environment().world_size()
    if environment == SLURMEnvironment and started > 1 and "SLURM_STEP_ID" not in os.environ:
        raise UserError(
            f"SLURM gives this job {started} tasks, but srun did not start this process, which would wait for the "
            f"others forever: put srun before the command, or set --ntasks=1"
        )
    if trainer.devices == "auto" and started % trainer.num_nodes == 0:
        trainer.devices = str(started // trainer.num_nodes)  # as the command line gives it
    elif processes(trainer) != started:
        raise UserError(
            f"the launcher started {started} processes, but trainer.devices {trainer.devices} and trainer.num_nodes "
            f"{trainer.num_nodes} ask for {processes(trainer)}: omit --trainer.devices, and give --trainer.num_nodes"
        )


def slurm_without_requeue() -> list[SLURMEnvironment]:
    """SLURM's environment if srun started this process, as a plugin of the trainer that does not requeue the job.

    Lightning would save a checkpoint wherever the signal finds the training step, and resume it in a new run directory.
    """
    return [SLURMEnvironment(auto_requeue=False)] if _launcher() == SLURMEnvironment else []


def _launcher() -> type[TorchElasticEnvironment | SLURMEnvironment] | None:
    # Of torchrun and srun, in Lightning's order: torchrun can run inside SLURM.
    return next((one for one in (TorchElasticEnvironment, SLURMEnvironment) if one.detect()), None)


def processes(trainer: Namespace) -> int:
    """Number of processes that the options of a Trainer ask for."""
    options: dict[str, Any] = {name: trainer[name] for name in ("accelerator", "devices", "num_nodes")}
    probe = Trainer(**options, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    return probe.num_devices * probe.num_nodes


def any_process(trainer: Trainer, flag: bool) -> bool:
    """Whether `flag` is true in any process. Collective: every process must call it."""
    return trainer.strategy.reduce_boolean_decision(flag, all=False) if trainer.world_size > 1 else flag

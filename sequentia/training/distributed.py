"""Decisions that all processes take together."""

from lightning.pytorch import Trainer


def any_process(trainer: Trainer, flag: bool) -> bool:
    """Whether `flag` is true in any process. All of them must ask: a process that acts alone waits for the others."""
    return trainer.strategy.reduce_boolean_decision(flag, all=False) if trainer.world_size > 1 else flag

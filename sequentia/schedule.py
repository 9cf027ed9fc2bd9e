"""The learning rate over a run."""

import math
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class WarmupDecay(LRScheduler):
    """Linear warm-up to the optimizer's own rate, then decay to the run's end.

    The rate is a function of the step alone, so a run that goes on with another length or base rate simply follows
    the new curve from where it stands.

    Args:
        optimizer: Its rates are the peak of the curve.
        total_steps: Length of the run in optimizer steps; taken from the trainer unless given.
        warmup: Steps of the warm-up; a number below 1 is a share of the run.
        decay: Shape of the way down: `linear`, `cosine` (Loshchilov & Hutter 2017), or `none`, which stays up.
        final: Rate at the end, as a share of the peak.

    Raises:
        ValueError: An option is out of its range, or `total_steps` is missing.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int | None = None,
        warmup: float = 0.05,
        decay: Literal["linear", "cosine", "none"] = "cosine",
        final: float = 0.0,
    ) -> None:
        if total_steps is None:
            raise ValueError("total_steps must be given where there is no trainer to take it from")
        if not 0 <= warmup < math.inf:
            raise ValueError(f"warmup must be a number, at least 0, got {warmup}")
        if not 0 <= final <= 1:
            raise ValueError(f"final must lie in [0, 1], got {final}")
        if decay not in ("linear", "cosine", "none"):
            raise ValueError(f"decay must be linear, cosine or none, got {decay}")
        self.total_steps = total_steps
        self.warmup_steps = warmup if warmup >= 1 else warmup * total_steps
        self.decay, self.final = decay, final
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """Share of the peak rate that step number `step`, from 0, is taken with."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        if self.decay == "none":
            return 1.0
        progress = min(1.0, (step - self.warmup_steps) / max(1.0, self.total_steps - self.warmup_steps))
        left = 1 - progress if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        return self.final + (1 - self.final) * left

    def get_lr(self) -> list[float | Tensor]:
        """Rate of each parameter group at the current step."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """The step alone: everything else is the run's options."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the step that `state_dict` tells, on this schedule's own curve."""
        super().load_state_dict(state_dict)
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr

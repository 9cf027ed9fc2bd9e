"""The learning rate over the length of a run."""

import math
from typing import Any, Literal

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class WarmupDecay(LRScheduler):
    """Linear warm-up to the optimizer's learning rate, then decay until the end of the run.

    The rate is a function of the step alone: a resumed run with another length or base rate follows the new curve from
    its current step on.

    Args:
        optimizer: Its learning rates are the peak of the curve.
        total_steps: Length of the run in optimizer steps; by default the trainer's.
        warmup: Number of warm-up steps, or, if below 1, their fraction of the run.
        decay: Shape of the decay: `linear`, `cosine` (Loshchilov & Hutter 2017), or `none` for a constant rate.
        final: Rate at the end, as a fraction of the peak.

    Raises:
        ValueError: An option is out of range, or `total_steps` is missing.
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
            raise ValueError("total_steps is required without a trainer")
        if not 0 <= warmup < math.inf:
            raise ValueError(f"warmup must be finite and at least 0, got {warmup}")
        if not 0 <= final <= 1:
            raise ValueError(f"final must be in [0, 1], got {final}")
        if decay not in ("linear", "cosine", "none"):
            raise ValueError(f"decay must be linear, cosine or none, got {decay}")
        self.total_steps, self.warmup, self.decay, self.final = total_steps, warmup, decay, final
        super().__init__(optimizer)

    def factor(self, step: int) -> float:
        """Learning rate of step `step`, counted from 0, as a fraction of the peak."""
        warmup = self.warmup if self.warmup >= 1 else self.warmup * self.total_steps
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.decay == "none":
            return 1.0
        progress = min(1.0, (step - warmup) / max(1.0, self.total_steps - warmup))
        left = 1 - progress if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        return self.final + (1 - self.final) * left

    def get_lr(self) -> list[float | Tensor]:
        """Learning rate of each parameter group at the current step."""
        return [base * self.factor(self.last_epoch) for base in self.base_lrs]

    def resize(self, total_steps: int) -> None:
        """Follow the curve of another length from the current step on."""
        self.total_steps = total_steps
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """The current step. Everything else follows from the run's options."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue at the step of `state_dict`, on this schedule's own curve."""
        super().load_state_dict(state_dict)
        self.resize(self.total_steps)

"""A run whose loss is no number any more stops, with its last good checkpoint."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.errors import UserError
from sequentia.models.base import not_finite
from sequentia.runs import LAST
from sequentia.training.checkpointing import RunCheckpoint


class StopWhenDiverged(Callback):
    """Stops a run whose training loss is infinite or nan, and keeps such weights from every checkpoint.

    The loss is looked at in each step on a CPU, and on other devices, where looking means waiting, in those steps that
    are logged. The weights are looked at before every save.

    Args:
        checkpoint: Writes last.ckpt.
    """

    def __init__(self, checkpoint: RunCheckpoint) -> None:
        self._checkpoint = checkpoint

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if the loss of this step is no finite number."""
        every = trainer.log_every_n_steps
        if pl_module.device.type != "cpu" and (every == 0 or trainer.global_step % every):
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        # All processes must stop together: one whose own share of the batch is fine would wait for the others forever.
        if loss is not None and _any(trainer, not math.isfinite(float(loss))):
            raise self._diverged(trainer, f"the training loss became {float(loss):g}")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop if the validation loss is nan. Infinite it may be, where a model gives a character no probability."""
        loss = trainer.callback_metrics.get("val/loss")
        if trainer.state.fn == "fit" and loss is not None and math.isnan(float(loss)):
            raise self._diverged(trainer, "the validation loss became nan")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to save weights that are no finite numbers."""
        with torch.no_grad():
            name = not_finite(pl_module)
        if name is not None:
            raise self._diverged(trainer, f"the weights {name} became infinite or nan")

    def _diverged(self, trainer: Trainer, what: str) -> UserError:
        lr = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else 0.0
        kept = Path(self._checkpoint.dirpath or "") / LAST
        return UserError(
            f"{what} at step {trainer.global_step} with learning rate {float(lr):g}: lower the optimizer's lr, or set "
            f"--trainer.gradient_clip_val 1.0" + (f"; {kept} holds the last good weights" if kept.is_file() else "")
        )


def _any(trainer: Trainer, bad: bool) -> bool:
    return trainer.strategy.reduce_boolean_decision(bad, all=False) if trainer.world_size > 1 else bad

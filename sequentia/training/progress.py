"""One progress bar for the whole run, on stderr."""

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

_REFRESH = 0.2  # seconds between two drawings


class RunProgress(ProgressBar):
    """Steps done, time left, and the latest training and validation loss.

    Where stderr is no terminal, each validation writes one plain line instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._drawn = 0.0

    def disable(self) -> None:
        """Draw nothing: Lightning asks for this in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Draw again."""
        self._enabled = True

    _enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        if self._enabled and sys.stderr.isatty():
            total = trainer.estimated_stepping_batches
            self._bar = tqdm(
                total=int(total) if total != float("inf") else None,
                initial=trainer.global_step,
                desc="fit",
                unit="step",
                dynamic_ncols=True,
                mininterval=_REFRESH,
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Move the bar, a few times a second."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._drawn >= _REFRESH:
            self._drawn = now
            self._draw(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the new validation loss."""
        if not self._enabled or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self._bar is None:
            print(f"step {trainer.global_step}  {_losses(trainer)}", file=sys.stderr, flush=True)
        else:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._draw(trainer)
            self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the message stands on a line of its own."""
        self._close()

    def _draw(self, trainer: Trainer) -> None:
        assert self._bar is not None
        self._bar.set_postfix_str(_losses(trainer), refresh=False)
        self._bar.update(trainer.global_step - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _losses(trainer: Trainer) -> str:
    metrics = trainer.callback_metrics
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in ("train/loss", "val/loss") if name in metrics)

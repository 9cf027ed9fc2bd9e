"""One progress bar for the whole run, on stderr."""

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

_REFRESH = 0.2  # seconds between two updates


class RunProgress(ProgressBar):
    """Completed steps, remaining time, and the latest training and validation loss.

    If stderr is not a terminal, one line is printed per validation instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm | None = None
        self._updated = 0.0
        self._enabled = True

    def disable(self) -> None:
        """Print nothing; Lightning calls this in all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        if self._enabled and sys.stderr.isatty():
            total = trainer.estimated_stepping_batches
            self._bar = tqdm(
                total=int(total) if total != float("inf") else None,
                initial=trainer.global_step,
                bar_format="{n_fmt}/{total_fmt}{postfix} |{bar}| {remaining}",  # tqdm cuts the right end to fit
                dynamic_ncols=True,
                mininterval=_REFRESH,
            )

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Advance the bar, a few times per second."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._updated >= _REFRESH:
            self._updated = now
            self._update(self._bar, trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the new validation loss."""
        if not self._enabled or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self._bar is None:
            print(f"step {trainer.global_step}  {_losses(trainer)}", file=sys.stderr, flush=True)
        else:
            self._update(self._bar, trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._update(self._bar, trainer)
            self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Close the bar, so that the error message starts on a new line."""
        self._close()

    def _update(self, bar: tqdm, trainer: Trainer) -> None:
        bar.set_postfix_str(_losses(trainer), refresh=False)
        bar.update(trainer.global_step - bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _losses(trainer: Trainer) -> str:
    metrics = trainer.callback_metrics
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in ("val/loss", "train/loss") if name in metrics)

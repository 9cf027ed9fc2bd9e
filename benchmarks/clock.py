"""A callback that times `fit` from inside."""

import copy
import time
from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn


class Clock(Callback):
    """Time and loss of each step of the last fit, and the model as it was before the first.

    It is given to `fit` by `--trainer.callbacks`, which makes it: the figures are left on the class.
    """

    seconds: ClassVar[list[float]] = []
    losses: ClassVar[list[float]] = []
    model: ClassVar[nn.Module | None] = None
    datamodule: ClassVar[Any] = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the fit before."""
        Clock.seconds, Clock.losses = [], []
        Clock.datamodule = trainer.datamodule
        trainer_of, pl_module._trainer = pl_module._trainer, None
        Clock.model = copy.deepcopy(pl_module)
        pl_module._trainer = trainer_of

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any) -> None:
        """Stop the clock and start it again."""
        Clock.losses.append(float(outputs["loss"]))
        now = time.perf_counter()
        Clock.seconds.append(now - self._start)
        self._start = now

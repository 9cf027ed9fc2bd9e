"""A callback that times the steps of `sequentia fit`."""

import time
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Clock(Callback):
    """Records the time and loss of each step, and the model with its initial weights.

    `--trainer.callbacks` makes the instance, which the caller of `fit` cannot reach, so the records are on the class.

    Attributes:
        seconds: Wall time of each step of the last `fit`.
        losses: Training loss of each step of the last `fit`.
        model: A copy of the model before the first step of the last `fit`.
        datamodule: The data module of the last `fit`.
    """

    seconds: ClassVar[list[float]] = []
    losses: ClassVar[list[float]] = []
    model: ClassVar[LightningModule | None] = None
    datamodule: ClassVar[Any] = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Clear the records, and copy the model."""
        Clock.seconds, Clock.losses = [], []
        Clock.datamodule = trainer.datamodule
        # A deep copy would copy the trainer, too.
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, then replaced
            Clock.model = type(pl_module)(**pl_module.hparams)
        Clock.model.load_state_dict(pl_module.state_dict())

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any) -> None:
        """Record the step and restart the clock."""
        Clock.losses.append(float(outputs["loss"]))
        now = time.perf_counter()
        Clock.seconds.append(now - self._start)
        self._start = now

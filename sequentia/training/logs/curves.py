"""The curves of the training steps: the loss, learning rates, gradient norm, speed and time."""

import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import grad_norm
from torch import Tensor

from sequentia.inference.batch import Batch
from sequentia.runs.history import read_history
from sequentia.training.logs.metrics_file import MetricsFile
from sequentia.training.loop.length import planned_steps


class Curves(Callback):
    """Logs a point every `trainer.log_every_n_steps` steps and at the last step.

    - `train/loss`: mean loss per predicted character since the last point, over all processes.
    - `vitals/lr_<group>`: learning rate of each parameter group in the point's own step.
    - `vitals/grad_norm`: norm of all gradients in the point's own step, before clipping.
    - `vitals/chars_per_second`: speed since the last point, validations left out.
    - `vitals/seconds`: time since training started, validations and saving included; a resumed run continues it.

    TensorBoard shows groups in alphabetical order: `vitals` is the last. A resumed run continues the mean, which is in
    the checkpoint. `Trainer.log` would cost as much as a step of a small model, so loggers are called directly, and
    only for a point.

    Args:
        vitals: Whether to log more than the loss.
    """

    logs_train_loss = True  # in the model's place

    def __init__(self, vitals: bool = True) -> None:
        self.vitals = vitals
        self._nll: Tensor | float = 0.0  # sum since the last point, of this process
        self._characters = 0.0
        self._point: dict[str, float] = {}  # values of the current step
        self._seconds, self._timed_characters = 0.0, 0.0  # since the last point or the start of this process
        self._since: float | None = None  # when the clock was read

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue the sums and the time of a resumed run, in the first process."""
        if not trainer.is_global_zero:
            self._nll, self._characters = 0.0, 0.0
        self._last_step, self._done = planned_steps(trainer), trainer.global_step
        runs = [logger.path.parent for logger in trainer.loggers if isinstance(logger, MetricsFile)]
        recorded = read_history(runs[0]).get("vitals/seconds", {}) if runs else {}
        earlier = max((seconds for step, seconds in recorded.items() if step < self._done), default=0.0)
        self._started = time.perf_counter() - earlier

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock, unless it has run since the last batch."""
        self._since = self._since or time.perf_counter()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Keep the values that the step is about to change, if a point is due after it."""
        if self.vitals and self._due(trainer, trainer.global_step + 1):
            # Lightning's norms include the norm of all gradients as one vector.
            self._point["vitals/grad_norm"] = float(grad_norm(pl_module, 2).get("grad_2.0_norm_total", 0.0))
            for i, group in enumerate(optimizer.param_groups):
                self._point[f"vitals/lr_{group.get('name', i)}"] = float(group["lr"])

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add the batch, and log a point if it is due."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            # Kept as a tensor, because reading it may mean waiting for a GPU. Lightning has divided the loss.
            self._nll = self._nll + loss.double() * (batch.total * trainer.accumulate_grad_batches)
            self._characters += batch.total
        now = time.perf_counter()
        self._seconds += now - (self._since or now)
        self._since = now
        self._timed_characters += batch.total
        step = trainer.global_step
        if step != self._done and self._due(trainer, step):
            self._log(trainer)
        self._done = step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the validation out of the speed."""
        self._since = None

    def _due(self, trainer: Trainer, step: int) -> bool:
        every = trainer.log_every_n_steps  # 0 disables logging
        return bool(every) and (step % every == 0 or step in (self._last_step, trainer.max_steps))

    def _sums(self, trainer: Trainer) -> list[float]:
        """Summed NLL, characters and timed characters of all processes. Collective: every process must call it."""
        own = [float(self._nll), self._characters, self._timed_characters]
        tensor = torch.tensor(own, device=trainer.strategy.root_device, dtype=torch.float64)
        return list(trainer.strategy.reduce(tensor, reduce_op="sum").tolist())

    def _log(self, trainer: Trainer) -> None:
        nll, characters, timed_characters = self._sums(trainer)
        values = self._point | ({"train/loss": nll / characters} if characters else {})
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})
        if self.vitals:
            values["vitals/chars_per_second"] = timed_characters / self._seconds
            values["vitals/seconds"] = time.perf_counter() - self._started
        for logger in trainer.loggers:
            logger.log_metrics(values | {"epoch": trainer.current_epoch}, trainer.global_step - 1)
            logger.save()
        self._nll, self._characters, self._point = 0.0, 0.0, {}
        self._seconds, self._timed_characters = 0.0, 0.0

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the sums, with which the first process continues: as in a resumed run, so that both add alike."""
        nll, characters, _ = self._sums(trainer)
        self._nll, self._characters = (nll, characters) if trainer.is_global_zero else (0.0, 0.0)
        checkpoint["callbacks"][self.state_key] = {"nll": nll, "characters": characters}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the sums."""
        self._nll, self._characters = state_dict["nll"], state_dict["characters"]

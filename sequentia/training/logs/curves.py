"""What is logged of the training steps: the loss, and what helps to understand it."""

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
from sequentia.vocabulary import BOUNDARY


class Curves(Callback):
    """Logs a point every `trainer.log_every_n_steps` steps and at the last step.

    - `train/loss`: mean loss per predicted character since the last point, over all processes.
    - `vitals/lr_<group>`: learning rate of each parameter group in the point's own step.
    - `vitals/grad_norm`: norm of all gradients in the point's own step, before clipping.
    - `vitals/lines_per_second`, `vitals/chars_per_second`: speed since the last point, validations left out.

    - `vitals/seconds`: time since training started, validations and saving included. A resumed run adds to the time of
      the last point that it keeps.

    TensorBoard shows groups in alphabetical order: `vitals` is the last. A resumed run continues the mean, which is in
    the checkpoint; the speed is that of its own process. `Trainer.log` would cost as much as a step of a small model,
    so loggers are called directly, and only for a point.

    Args:
        vitals: Whether to log more than the loss.
    """

    logs_train_loss = True  # in the model's place

    def __init__(self, vitals: bool = True) -> None:
        self.vitals = vitals
        self._nll: Tensor | float = 0.0  # sum since the last point, of this process
        self._characters = 0.0
        self._saved: list[list[float]] = []
        self._point: dict[str, float] = {}  # values of the step under way
        self._seconds, self._timed_characters = 0.0, 0.0  # since the last point, in this process
        self._timed_lines: Tensor | float = 0.0
        self._since: float | None = None  # when the clock was read

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue the mean of a resumed run; take it over if the number of processes has changed."""
        self._started = time.perf_counter()
        self._earlier: float | None = None  # seconds of the processes before this one
        self._last_step = planned_steps(trainer)
        self._done = self._start = trainer.global_step
        if self._saved:
            rank = trainer.global_rank
            if len(self._saved) == trainer.world_size:
                self._nll, self._characters = self._saved[rank]
            elif rank == 0:
                self._nll, self._characters = map(sum, zip(*self._saved, strict=True))
            self._saved = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock, unless it runs since the last batch."""
        if self._since is None:
            self._since = time.perf_counter()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Keep what the step is about to change, if a point is due after it."""
        if self.vitals and self._due(trainer, trainer.global_step + 1):
            # The norms of Lightning include their norm, of all gradients as one vector.
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
        if self.vitals:
            now = time.perf_counter()
            self._seconds += now - (self._since or now)
            self._since = now
            self._timed_lines = self._timed_lines + (batch.target == BOUNDARY).sum()
            self._timed_characters += batch.total
        step = trainer.global_step
        if step != self._done and self._due(trainer, step):
            self._log(trainer)
        self._done = step

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the validation out of the speed."""
        self._since = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the rest of a run that stopped early."""
        if trainer.log_every_n_steps and self._characters:
            self._log(trainer)

    def mean(self, trainer: Trainer) -> float | None:
        """The latest `train/loss`: of the last point, or since the start if there is none; None if there is no step."""
        logged = trainer.callback_metrics.get("train/loss")
        if logged is None and self._characters:
            return float(self._nll) / self._characters
        return None if logged is None else float(logged)

    def _due(self, trainer: Trainer, step: int) -> bool:
        every = trainer.log_every_n_steps  # 0 disables logging
        return bool(every) and (step % every == 0 or step in (self._last_step, trainer.max_steps))

    def _log(self, trainer: Trainer) -> None:
        device = trainer.strategy.root_device
        own = [float(x) for x in (self._nll, self._characters, self._timed_lines, self._timed_characters)]
        sums = trainer.strategy.reduce(torch.tensor(own, device=device, dtype=torch.float64), reduce_op="sum")
        nll, characters, lines, timed_characters = sums.tolist()
        values = dict(self._point)
        if characters:
            values["train/loss"] = nll / characters
        trainer.callback_metrics.update({name: torch.tensor(value) for name, value in values.items()})
        if self._seconds:
            values["vitals/lines_per_second"] = lines / self._seconds
            values["vitals/chars_per_second"] = timed_characters / self._seconds
        if self.vitals and trainer.is_global_zero:
            if self._earlier is None:
                self._earlier = self._recorded_seconds(trainer)
            if self._earlier is not None:
                values["vitals/seconds"] = self._earlier + time.perf_counter() - self._started
        for logger in trainer.loggers:
            if values:
                logger.log_metrics(values | {"epoch": trainer.current_epoch}, trainer.global_step - 1)
                logger.save()
        self._nll, self._characters, self._point = 0.0, 0.0, {}
        self._seconds, self._timed_characters, self._timed_lines = 0.0, 0.0, 0.0

    def _recorded_seconds(self, trainer: Trainer) -> float | None:
        """The time that the run had taken before this process; None if it is unknown."""
        if trainer.ckpt_path is None:
            return 0.0
        run = next((logger.path.parent for logger in trainer.loggers if isinstance(logger, MetricsFile)), None)
        history = {} if run is None else read_history(run)
        if "train/loss" not in history:
            return 0.0  # the process before this one logged no point
        seconds = [value for step, value in history.get("vitals/seconds", {}).items() if step < self._start]
        return seconds[-1] if seconds else None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the sums of all processes, each of which calls this."""
        own = torch.tensor([float(self._nll), self._characters], device=pl_module.device, dtype=torch.float64)
        checkpoint["callbacks"][self.state_key] = {"sums": pl_module.all_gather(own).view(-1, 2).tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the sums until the number of processes is known."""
        self._saved = state_dict["sums"]

"""best.ckpt and last.ckpt."""

import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from sequentia.runs import BEST, LAST
from sequentia.training.saving import replacing

_INTERVAL = timedelta(minutes=1)


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which writes `best.ckpt` (lowest validation NLL) and `last.ckpt` to a run.

    `last.ckpt` is written between two steps only, after everything that belongs to the first of them (validation, its
    log, the schedule) is done. There a run can go on as if it had never stopped.

    Args:
        monitor: Figure that the best checkpoint has lowest (or highest, see `mode`).
        filename: Name of the best checkpoint.
        save_top_k: How many of the best to keep; with more than one (or all, -1) they are called `best-step=N.ckpt`,
            and best.ckpt is the best of them. 0 keeps none.
        save_last: Whether to write last.ckpt.
        every_n_train_steps: Write last.ckpt after so many steps.
        train_time_interval: Write last.ckpt after so much time; one minute unless another interval is given.
        every_n_epochs: Look for a new best only in every n-th epoch.
        enable_version_counter: Whether a file that is in the way gets a number instead of being replaced.
    """

    def __init__(
        self,
        monitor: str | None = "val/loss",
        filename: str | None = "best",
        save_last: bool | None = True,
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        every_n_epochs: int | None = None,
        enable_version_counter: bool = False,
        save_top_k: int = 1,
        **kwargs: Any,
    ) -> None:
        if save_top_k not in (0, 1) and filename == Path(BEST).stem:
            filename += "-{step}"
        if not (every_n_train_steps or every_n_epochs or train_time_interval):
            train_time_interval = _INTERVAL
        super().__init__(
            monitor=monitor,
            filename=filename,
            save_last=save_last,
            every_n_train_steps=every_n_train_steps,
            train_time_interval=train_time_interval,
            every_n_epochs=every_n_epochs,
            enable_version_counter=enable_version_counter,
            save_top_k=save_top_k,
            **kwargs,
        )
        self._validated = False

    @property
    def state_key(self) -> str:
        """The same whatever the options: how often to save may change when a run goes on."""
        return type(self).__name__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt before the first step: a run killed at any moment has one."""
        self._last_time_checked = time.monotonic()
        self._steps = trainer.estimated_stepping_batches
        here = Path(self.dirpath or "") / LAST
        if trainer.ckpt_path is None or Path(trainer.ckpt_path).resolve() != here:  # a new run, or a branch of one
            self.write_last(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write last.ckpt if it is due: the last step is complete, the next has not begun."""
        if batch_idx % trainer.accumulate_grad_batches:
            return  # gradients gathered so far are in no checkpoint
        if self._due(trainer):
            self.write_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write best.ckpt if the model just validated is the best."""
        if trainer.fast_dev_run or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._validated = True
        if self._every_n_epochs < 1 or (trainer.current_epoch + 1) % self._every_n_epochs == 0:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt."""
        self.write_last(trainer)

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Have the model of the last step validated, whatever the interval; nothing is saved before that."""
        if trainer.global_step == self._steps:
            trainer.should_stop = True  # what makes Lightning look at the model once more

    def on_train_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: see `on_train_batch_start`."""

    def state_dict(self) -> dict[str, Any]:
        """What was best so far, by which figure."""
        return super().state_dict() | {"mode": self.mode}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what was best so far, wherever the run's directory lies by now."""
        if (state_dict["monitor"], state_dict["mode"]) != (self.monitor, self.mode):
            return  # what was best by another figure is not comparable
        here = Path(self.dirpath or "")
        best = {str(here / Path(path).name): score for path, score in state_dict["best_k_models"].items()}
        if not all(path.endswith(self.FILE_EXTENSION) and Path(path).is_file() for path in best):
            return  # another run's checkpoint: its best is not in this directory
        self.best_k_models = best
        self.best_model_score = state_dict["best_model_score"]
        self.current_score = state_dict["current_score"]
        self.kth_value = state_dict["kth_value"]
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            path = state_dict[name]
            setattr(self, name, str(here / Path(path).name) if path else "")

    def _update_best_and_save(
        self, current: torch.Tensor, trainer: Trainer, monitor_candidates: dict[str, torch.Tensor]
    ) -> None:
        super()._update_best_and_save(current, trainer, monitor_candidates)
        best = Path(self.best_model_path)
        if trainer.is_global_zero and self.save_top_k != 1 and best.is_file():
            # The same file under a second name: checkpoints are replaced, never written into.
            with replacing(best.with_name(BEST)) as temporary:
                try:
                    os.link(best, temporary)
                except OSError:  # a file system without hard links
                    shutil.copy(best, temporary)

    def _due(self, trainer: Trainer) -> bool:
        step = trainer.global_step
        if self._validated:
            return True
        if step == self._last_global_step_saved:
            return False
        if self._every_n_train_steps and step % self._every_n_train_steps == 0:
            return True
        if self._train_time_interval is None:
            return False
        due = time.monotonic() - (self._last_time_checked or 0) >= self._train_time_interval.total_seconds()
        # The clocks of several processes differ, but all must save together.
        return trainer.strategy.reduce_boolean_decision(due, all=False) if trainer.world_size > 1 else due

    def write_last(self, trainer: Trainer) -> None:
        """Write last.ckpt, and best.ckpt too where nothing is held out to tell which is best.

        To be called between two steps, with no gradients gathered.
        """
        if trainer.fast_dev_run:
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.experiment.flush()  # a resumed run does not log again what came before its checkpoint
        candidates = self._monitor_candidates(trainer)
        if self.save_top_k and not (trainer.enable_validation and sum(trainer.num_val_batches)):
            self._save_checkpoint(trainer, str(Path(self.dirpath or "") / BEST))
        self._save_last_checkpoint(trainer, candidates)
        self._validated = False
        self._last_time_checked = time.monotonic()

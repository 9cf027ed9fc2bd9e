"""The files of a run: best.ckpt, last.ckpt and config.yaml, each written as a whole or not at all."""

import io
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any, cast

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.directory import BEST, CONFIG, LAST
from sequentia.training.loop.length import planned_steps
from sequentia.training.loop.processes import any_process

yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))  # of a Timer


def validates(trainer: Trainer) -> bool:
    """Whether lines are held out for validation, in this epoch or a later one."""
    return bool(trainer.enable_validation and trainer.datamodule.val_dataloader())


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and replaces it when the new one is complete on disk; reads only valid checkpoints.

    Lightning writes to the system's temporary directory first. A crash while that file is copied leaves half a file.
    """

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint, which is checked once more: see `read_checkpoint`."""
        return read_checkpoint(Path(path))

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint; if that fails, the previous file is unchanged."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)  # other callbacks may save outside the run directory
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with replacing(Path(path), "set --trainer.default_root_dir") as temporary:
            temporary.write_bytes(content.getbuffer())


class SaveConfig(Callback):
    """Writes config.yaml when training starts: a run that cannot resume with new options keeps the old ones.

    Args:
        run: The run directory.
        options: Returns the options as plain values.
    """

    def __init__(self, run: Path, options: Callable[[], dict[str, Any]]) -> None:
        self._run, self._options = run, options

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, with a first line for people and `sequentia report`."""
        if trainer.is_global_zero and not trainer.fast_dev_run:
            options = yaml.safe_dump(self._options(), sort_keys=False, allow_unicode=True)
            with replacing(self._run / CONFIG) as temporary:
                temporary.write_text(f"# {cast(LanguageModel, pl_module).describe()}\n{options}", encoding="utf-8")


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint with other defaults: best.ckpt has the lowest validation NLL.

    Args:
        monitor: Metric by which the best checkpoint is chosen: the lowest, or the highest if `mode` is max.
        save_top_k: Number of best checkpoints to keep. If more than one (or all, -1), they are named
            `best-step=N.ckpt`, and best.ckpt is the best of them. 0 keeps none.
        every_n_train_steps: Interval in steps at which last.ckpt is written.
        train_time_interval: Interval in time at which last.ckpt is written; one minute if no interval is given.

    Attributes:
        last: Writes last.ckpt.
    """

    def __init__(
        self,
        monitor: str | None = "val/loss",
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
        save_top_k: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            monitor=monitor,
            filename="best" if save_top_k in (0, 1) else "best-{step}",
            save_last=False,
            save_top_k=save_top_k,
            save_on_train_epoch_end=False,  # but after each validation
            enable_version_counter=False,
            **kwargs,
        )
        if train_time_interval is None and not every_n_train_steps:
            train_time_interval = timedelta(minutes=1)
        self.last = LastCheckpoint(self, every_n_train_steps, train_time_interval)

    @property
    def state_key(self) -> str:
        """Independent of the options, unlike Lightning's: a resumed run may save at other intervals."""
        return type(self).__name__

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the model just validated if it is among the best so far."""
        previous = self.best_model_path
        super().on_validation_end(trainer, pl_module)
        if trainer.is_global_zero and self.save_top_k not in (0, 1) and self.best_model_path != previous:
            with replacing(Path(self.dirpath or "") / BEST) as temporary:
                shutil.copy(self.best_model_path, temporary)

    def state_dict(self) -> dict[str, Any]:
        """The best checkpoints so far, and the metric that ranks them."""
        return super().state_dict() | {"mode": self.mode}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best checkpoints so far, also if the run directory has been moved."""
        if (state_dict["monitor"], state_dict["mode"]) != (self.monitor, self.mode):
            return  # scores of another metric are not comparable

        def here(path: str) -> str:
            return str(Path(self.dirpath or "") / Path(path).name) if path else ""

        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        if not all(path.endswith(self.FILE_EXTENSION) and Path(path).is_file() for path in best):
            return  # a checkpoint of another run: its best ones are not in this directory
        paths = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        super().load_state_dict({**state_dict, **paths, "dirpath": self.dirpath, "best_k_models": best})
        if len(best) >= self.save_top_k > 0:  # even if the run kept another number of them before
            self.kth_best_model_path = (max if self.mode == "min" else min)(best, key=lambda path: best[path])
            self.kth_value = best[self.kth_best_model_path]


class LastCheckpoint(Checkpoint):
    """Writes last.ckpt between two steps: after each validation, at intervals, and when the run starts and ends.

    Between two steps, everything that belongs to the first of them (validation, its log entries, the learning-rate
    schedule) is complete, so that a run resumed from there is bit-identical to an uninterrupted one.

    Args:
        best: Writes the best checkpoint, in the same directory.
        steps: Interval in steps.
        time: Interval in time.

    Attributes:
        step: The step in last.ckpt.
    """

    def __init__(self, best: BestCheckpoint, steps: int | None, time: timedelta | None) -> None:
        self._best, self._steps, self._time = best, steps, time
        self.step, self._written = -1, 0.0
        self._validated = False  # since then

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._best.dirpath or "") / LAST

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt before the first step, so that a run killed at any moment has one."""
        self.step, self._written, self._end = trainer.global_step, monotonic(), planned_steps(trainer)
        if trainer.ckpt_path is None or Path(trainer.ckpt_path).resolve() != self.path:
            self.write(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write last.ckpt if it is due. It does not hold accumulated gradients."""
        if batch_idx % trainer.accumulate_grad_batches == 0 and self._due(trainer):
            self.write(trainer)

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Have the model validated after the last step, whatever the interval."""
        if trainer.global_step in (self._end, trainer.max_steps):
            trainer.should_stop = True  # makes Lightning validate once more

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have last.ckpt written before the next step."""
        self._validated = trainer.state.fn == "fit" and not trainer.sanity_checking

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt."""
        self.write(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Write last.ckpt if something failed, so that nothing is lost, unless it has those weights already.

        It is not written where it would be wrong or wait forever: after a mistake such as a loss that is NaN, with
        accumulated gradients, and if there are other processes, which may not have failed.
        """
        mistake = isinstance(exception, UserError) or not isinstance(exception, Exception)
        batch = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        accumulated = batch % trainer.accumulate_grad_batches and batch != trainer.num_training_batches
        if not (mistake or accumulated or trainer.world_size > 1) and trainer.global_step > self.step >= 0:
            with suppress(Exception):  # the previous file is intact, and the first error is reported
                self.write(trainer)

    def _due(self, trainer: Trainer) -> bool:
        step, time, now = self.step, self._written, monotonic()
        if self._validated or trainer.global_step == step:
            return self._validated
        if self._steps and trainer.global_step % self._steps == 0:
            return True
        # The clocks of several processes differ, but all must save together.
        return self._time is not None and any_process(trainer, now - time >= self._time.total_seconds())

    def write(self, trainer: Trainer) -> None:
        """Write last.ckpt, and best.ckpt too if nothing is held out to tell which checkpoint is best.

        Must be called between two steps, without accumulated gradients.
        """
        if trainer.fast_dev_run:
            return
        for logger in trainer.loggers:
            logger.save()  # a resumed run does not log again what came before its checkpoint
        resumable = self.path.is_file()  # a run killed between the two files can be resumed
        if resumable and self._best.save_top_k and not self._best.best_model_path and not validates(trainer):
            trainer.save_checkpoint(self.path.with_name(BEST), self._best.save_weights_only)
        trainer.save_checkpoint(self.path, self._best.save_weights_only)
        self.step, self._written, self._validated = trainer.global_step, monotonic(), False

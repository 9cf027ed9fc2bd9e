"""What a run saves and when: best.ckpt, last.ckpt and config.yaml, each written as a whole or not at all."""

import io
import os
import shutil
import time
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.directory import BEST, CONFIG, LAST
from sequentia.training.loop.length import planned_steps
from sequentia.training.loop.processes import any_process

_INTERVAL = timedelta(minutes=1)
_LONGEST_NAME = 200  # bytes of a checkpoint's name; file systems allow 255, and a temporary file's name is longer

yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))  # of a Timer


def validates(trainer: Trainer) -> bool:
    """Whether lines are held out for validation, in this epoch or a later one."""
    data = trainer.datamodule
    return bool(trainer.enable_validation and (data is None or data.val_dataloader()))


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old file and replaces it when the new one is complete on disk.

    Lightning's own implementation writes to the system's temporary directory first. Moving from there may mean copying,
    and a crash then leaves half a checkpoint. It also reads a checkpoint with PyTorch's reader, which trusts the file.
    """

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint, which is checked once more: see `read_checkpoint`."""
        return read_checkpoint(Path(path))

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            UserError: The file cannot be written; the previous one is unchanged.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)  # other callbacks may save outside the run directory
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with (
            replacing(Path(path), "free some space, or set --trainer.default_root_dir") as temporary,
            temporary.open("wb") as file,
        ):
            file.write(content.getbuffer())


class SaveConfig(SaveConfigCallback):
    """Writes the run's config.yaml when training starts.

    Args:
        run: The run directory.
    """

    def __init__(self, *args: Any, run: Path, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.run = run

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write nothing yet: a run that cannot resume with these options keeps its config.yaml."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write it, whichever logger is used, with a first line for people and `sequentia report`."""
        if trainer.is_global_zero and not trainer.fast_dev_run:
            text = f"# {cast(LanguageModel, pl_module).describe()}\n" + self.parser.dump(self.config, skip_none=False)
            with replacing(self.run / CONFIG) as temporary:
                temporary.write_text(text, encoding="utf-8")


class RunCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, writing `best.ckpt` (lowest validation NLL) and `last.ckpt` to a run directory.

    `last.ckpt` is written only between two steps, when everything that belongs to the first of them (validation, its
    log entries, the learning-rate schedule) is complete. A run resumed from there is bit-identical to an uninterrupted
    one.

    Args:
        monitor: Metric by which the best checkpoint is chosen: the lowest, or the highest if `mode` is max.
        filename: Name of the best checkpoint.
        save_top_k: Number of best checkpoints to keep. If more than one (or all, -1), they are named
            `best-step=N.ckpt`, and best.ckpt is the best of them. 0 keeps none.
        save_last: Whether to write last.ckpt.
        every_n_train_steps: Interval in steps at which last.ckpt is written.
        train_time_interval: Interval in time at which last.ckpt is written; one minute if no interval is given.
        every_n_epochs: Interval in epochs at which best.ckpt is updated.
        enable_version_counter: Whether a best checkpoint whose name is taken gets a version number instead of replacing
            the file.
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
        if every_n_train_steps is not None and every_n_train_steps < 0:
            raise UserError(f"checkpoint.every_n_train_steps must be at least 0, got {every_n_train_steps}")
        if save_top_k not in (0, 1) and filename == Path(BEST).stem:
            filename += "-{step}"
        kwargs["save_on_train_epoch_end"] = False
        # Lightning's part is the best checkpoints, chosen after each validation; last.ckpt is written here.
        super().__init__(
            monitor=monitor,
            filename=filename,
            save_last=False,
            every_n_epochs=every_n_epochs or 1,
            enable_version_counter=enable_version_counter,
            save_top_k=save_top_k,
            **kwargs,
        )
        self._check_filename()
        self.writes_last = save_last
        self.interval_in_steps = every_n_train_steps
        self.interval_in_time = train_time_interval or (None if every_n_train_steps else _INTERVAL)
        self._last_step = -1  # at which last.ckpt was written
        self._last_time = time.monotonic()
        self._validated = False  # since last.ckpt was written

    def _check_filename(self) -> None:
        """Refuse a file name that is no format string, or that names a file outside of the run directory.

        Raises:
            UserError: The name is invalid.
        """
        option = f"checkpoint.filename {self.filename!r}"
        try:
            name = self.format_checkpoint_name({"epoch": torch.tensor(0), "step": torch.tensor(0)})
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise UserError(f"{option} is not a format string such as 'best-{{step}}': {error}") from error
        name = name.removeprefix(f"{self.dirpath}{os.sep}")
        if any(separator in name for separator in ("/", "\\", "\0")):
            raise UserError(
                f"{option} gives a path, {name!r}: give a name without a directory; for a metric whose name has a "
                "slash, set --checkpoint.auto_insert_metric_name false"
            )
        if name == LAST:
            raise UserError(f"{option} is the name of the last checkpoint: give another name")
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise UserError(f"{option} gives a name of more than {_LONGEST_NAME} bytes: give a shorter one")

    @property
    def state_key(self) -> str:
        """Independent of the options, unlike Lightning's: a resumed run may save at other intervals."""
        return type(self).__name__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt before the first step, so that a run killed at any moment has one."""
        self._last_time = time.monotonic()
        self._steps = planned_steps(trainer)
        last = Path(self.dirpath or "") / LAST
        if trainer.ckpt_path is None or Path(trainer.ckpt_path).resolve() != last:  # unless this run resumes from it
            self.write_last(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write last.ckpt if it is due: the last step is complete and the next has not begun."""
        if batch_idx % trainer.accumulate_grad_batches:
            return  # a checkpoint does not hold accumulated gradients
        if self._due(trainer):
            self.write_last(trainer)

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Have the model validated after the last step, whatever the interval. Nothing is saved here."""
        if trainer.global_step == self._steps:
            trainer.should_stop = True  # makes Lightning validate once more

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write best.ckpt if the model just validated is the best so far."""
        if trainer.fast_dev_run or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._validated = True
        previous = self.best_model_path
        super().on_validation_end(trainer, pl_module)
        if trainer.is_global_zero and self.save_top_k not in (0, 1) and self.best_model_path != previous:
            # The same file under a second name; checkpoints are replaced, never modified.
            with replacing(Path(self.dirpath or "") / BEST) as temporary:
                try:
                    os.link(self.best_model_path, temporary)
                except OSError:  # a file system without hard links
                    shutil.copy(self.best_model_path, temporary)

    def on_train_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: see `on_train_batch_start`."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write last.ckpt."""
        self.write_last(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The best checkpoints so far, and the metric that ranks them."""
        return super().state_dict() | {"mode": self.mode}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best checkpoints so far, also if the run directory has been moved."""
        if (state_dict["monitor"], state_dict["mode"]) != (self.monitor, self.mode):
            return  # scores of another metric are not comparable
        directory = Path(self.dirpath or "")
        best = {str(directory / Path(path).name): score for path, score in state_dict["best_k_models"].items()}
        if not all(path.endswith(self.FILE_EXTENSION) and Path(path).is_file() for path in best):
            return  # a checkpoint of another run: its best ones are not in this directory
        self.best_k_models = best
        self.best_model_score = state_dict["best_model_score"]
        self.current_score = state_dict["current_score"]
        self.kth_value = state_dict["kth_value"]
        for name in ("best_model_path", "kth_best_model_path", "last_model_path"):
            path = state_dict[name]
            setattr(self, name, str(directory / Path(path).name) if path else "")
        if best and len(best) == self.save_top_k:  # also if the run kept more of them so far
            worst = max if self.mode == "min" else min
            self.kth_best_model_path = worst(best, key=lambda path: best[path])
            self.kth_value = best[self.kth_best_model_path]

    def _due(self, trainer: Trainer) -> bool:
        step = trainer.global_step
        if self._validated:
            return True
        if step == self._last_step:
            return False
        if self.interval_in_steps and step % self.interval_in_steps == 0:
            return True
        if self.interval_in_time is None:
            return False
        # The clocks of several processes differ, but all must save together.
        return any_process(trainer, time.monotonic() - self._last_time >= self.interval_in_time.total_seconds())

    def write_last(self, trainer: Trainer) -> None:
        """Write last.ckpt, and best.ckpt too if nothing is held out to tell which checkpoint is best.

        Must be called between two steps, without accumulated gradients.
        """
        if trainer.fast_dev_run:
            return
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and trainer.is_global_zero:
                logger.experiment.flush()  # a resumed run does not log again what came before its checkpoint
        names = []
        if self.save_top_k and not validates(trainer) and not self.best_model_path:
            names.append(BEST)
        if self.writes_last:
            names.append(LAST)
        for name in names:
            path = str(Path(self.dirpath or "") / name)
            if name == LAST:
                self.last_model_path = path  # before saving: it is part of the saved state
            trainer.save_checkpoint(path, self.save_weights_only)
            for logger in trainer.loggers:
                logger.after_save_checkpoint(self)
        self._last_step = trainer.global_step
        self._last_time = time.monotonic()
        self._validated = False

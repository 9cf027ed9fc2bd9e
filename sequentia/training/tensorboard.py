"""What TensorBoard shows of a run besides curves: samples at each validation, and the heat map of a bigram."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from google.protobuf.message import DecodeError
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event

from sequentia.data import CharDataModule
from sequentia.heatmap import LARGEST, draw
from sequentia.models import LanguageModel
from sequentia.training.metrics_file import MetricsFile


class RunTensorBoard(TensorBoardLogger):
    """Lightning's logger with the epoch among the less important curves.

    TensorBoard shows groups of curves in alphabetical order and expands the first two, which would be "epoch" and
    "train" instead of "train" and "val". Lightning writes the epoch with every call; here it is written once per step.
    """

    _epoch_step = -1

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write scalars."""
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        if "epoch" in metrics and step != self._epoch_step:
            values["vitals/epoch"] = metrics["epoch"]
            self._epoch_step = -1 if step is None else step
        super().log_metrics(values, step)

    def save(self) -> None:
        """Write what is buffered, but no hparams.yaml: config.yaml has the options."""
        self.experiment.flush()


class SampleTable(Callback):
    """Draws a few lines at each validation, each marked as new or as a line of a split.

    Args:
        num_samples: Number of lines.
        seed: Seed of the draw: the same at each validation, so that only the model's progress changes the table.
    """

    def __init__(self, num_samples: int = 20, seed: int = 0) -> None:
        self.num_samples, self.seed = num_samples, seed

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the table."""
        logger = trainer.logger
        if not isinstance(logger, TensorBoardLogger) or not trainer.is_global_zero or trainer.sanity_checking:
            return
        if trainer.state.fn != "fit" or not isinstance(trainer.datamodule, CharDataModule):
            return
        model = cast(LanguageModel, pl_module)
        texts = model.sample(self.num_samples, seed=self.seed, max_length=model.context_length - 1)
        splits = trainer.datamodule.splits_of(texts)
        logger.experiment.add_text("samples", table(texts, splits), trainer.global_step - 1)


def table(texts: list[str], splits: list[str]) -> str:
    """A Markdown table of samples and their splits. Samples are in code tags, so that none is read as markup."""
    rows = "\n".join(f"| {_code(text)} | {split} |" for text, split in zip(texts, splits, strict=True))
    return f"| sample | split |\n|---|---|\n{rows}"


def _code(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped}</code>"


class HeatMap(Callback):
    """Draws the table of a bigram at the end of training. Other models and large vocabularies are not drawn."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the image."""
        model, logger = cast(LanguageModel, pl_module), trainer.logger
        if not isinstance(logger, TensorBoardLogger) or not trainer.is_global_zero:
            return
        if model.plots_bigrams and len(model.vocabulary) <= LARGEST:
            logger.experiment.add_figure("bigrams", draw(model), trainer.global_step - 1)


class DropOrphans(Callback):
    """Removes what was logged of steps that a resumed run takes again.

    A killed process may have logged steps after its last checkpoint. TensorBoard's older reader skips them because the
    resumed run logs where it starts; its data server shows those that are not logged again at the same step.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove them from metrics.csv and from the event files in the directory of the logger."""
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, MetricsFile):
                logger.drop(trainer.global_step)
            elif isinstance(logger, TensorBoardLogger) and trainer.ckpt_path is not None:
                drop_events(Path(logger.log_dir), trainer.global_step)


_HEADER, _FOOTER = 12, 4  # bytes of a record before its data (length and its checksum) and after it (checksum)


def drop_events(directory: Path, step: int) -> None:
    """Truncate each event file before its first summary of `step` or a later step.

    Args:
        directory: The directory of the event files.
        step: Number of complete steps; steps are logged from 0 on.
    """
    for path in directory.glob("events.out.tfevents.*"):
        if path.is_symlink() or not path.is_file():
            continue
        size = path.stat().st_size
        with path.open("rb+") as file:
            while len(header := file.read(_HEADER)) == _HEADER:
                start, length = file.tell() - _HEADER, int.from_bytes(header[:8], "little")
                if start + _HEADER + length + _FOOTER > size:
                    break  # the process was killed while it wrote
                try:
                    event = Event.FromString(file.read(length))
                except DecodeError:
                    break
                if event.HasField("summary") and event.step >= step:
                    file.truncate(start)
                    break
                file.seek(_FOOTER, 1)

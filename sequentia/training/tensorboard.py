"""TensorBoard's own matters: the order of its curves, the heat map of a bigram, and steps that are taken again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from google.protobuf.message import DecodeError
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event

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

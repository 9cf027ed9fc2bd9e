"""TensorBoard's own matters: the order of its curves, and steps that are taken again."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.compat.proto.event_pb2 import Event

from sequentia.training.logs.metrics_file import MetricsFile

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class RunTensorBoard(TensorBoardLogger):
    """Lightning's logger, with the curves in an order that shows first how a run goes.

    TensorBoard shows groups of curves in alphabetical order and expands the first two. So both losses are also written
    as one chart `loss`, for which the validation loss needs a writer of its own, in `val` below the run; the metrics of
    samples are in the group `samples`; and the epoch, which Lightning writes with every call, is in the last group.
    """

    _epoch_step = -1
    _validation: "SummaryWriter | None" = None

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write scalars."""
        values = {_tag(name): value for name, value in metrics.items() if name != "epoch"}
        if "epoch" in metrics and step != self._epoch_step:
            values["vitals/epoch"] = metrics["epoch"]
            self._epoch_step = -1 if step is None else step
        if "train/loss" in metrics:
            values[_BOTH_LOSSES] = metrics["train/loss"]
        if "val/loss" in metrics:
            if self._validation is None:
                from torch.utils.tensorboard import SummaryWriter  # slow to import

                self._validation = SummaryWriter(str(Path(self.log_dir, VALIDATION)))
            self._validation.add_scalar(_BOTH_LOSSES, metrics["val/loss"], step)
        super().log_metrics(values, step)

    def save(self) -> None:
        """Write what is buffered, but no hparams.yaml: config.yaml has the options."""
        self.experiment.flush()
        if self._validation is not None:
            self._validation.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the files."""
        super().finalize(status)
        if self._validation is not None:
            self._validation.close()


VALIDATION = "val"
"""Directory below the run with the validation loss for the chart of both losses."""

_BOTH_LOSSES = "loss"
_SAMPLES = "val/samples_"


def _tag(name: str) -> str:
    """TensorBoard's name of a metric."""
    return f"samples/{name.removeprefix(_SAMPLES)}" if name.startswith(_SAMPLES) else name


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
                for directory in (Path(logger.log_dir), Path(logger.log_dir, VALIDATION)):
                    drop_events(directory, trainer.global_step)


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

"""A run in TensorBoard: curves, options and results (HParams), and pictures of the trained model."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from sequentia.errors import UserError
from sequentia.reporting import PICTURES
from sequentia.reporting.report import read_run
from sequentia.runs.history import BASELINES

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TRAINING = "train"
"""Directory below the run for the training loss in the chart `loss`, which has one curve per directory; each baseline
has a directory, too."""

_OF_SAMPLES = ("novel", "unique", "near_copies")
"""Metrics in the group `samples`; the others are in `samples_more`."""

_OPTIONS = ("data.batch_size", "data.path", "init_from", "seed_everything", "trainer.max_steps", "trainer.precision")
"""Options in HParams beside those of the model and the optimizer; it shows those that differ between runs first."""

_RESULTS = ("val/loss", "samples_novel", "samples_unique", "seconds", "parameters", "steps")
"""Results of a run, each a curve of one point in the group `summary`; HParams lists them with all other metrics."""


class RunTensorBoard(TensorBoardLogger):
    """Lightning's logger, with the most important curves first.

    TensorBoard shows groups of curves in alphabetical order and expands the first two. So both losses are also written
    as one chart `loss`, with a flat line for each baseline, and the metrics of samples are in groups of their own.
    HParams shows metrics in alphabetical order, too: first `loss` of the run itself, the validation loss.

    Args:
        run: The run directory.
        purge_step: Number of complete steps. A killed process may have logged later ones, which are repeated:
            TensorBoard's reader in Python hides the old points, its data server shows them as well.
    """

    def __init__(self, run: Path, purge_step: int) -> None:
        super().__init__(run.parent, name="", version=run.name, default_hp_metric=False, purge_step=purge_step)
        self._purge_step = purge_step
        self._writers: dict[str, SummaryWriter] = {}  # by directory

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Write scalars; the epoch is only in metrics.csv."""
        losses = {name: metrics[name] for name in metrics if name.startswith(f"{BASELINES}/")}
        values = {tag(name): metrics[name] for name in metrics if name != "epoch" and name not in losses}
        if "train/loss" in metrics:
            losses[TRAINING] = metrics["train/loss"]
        if "val/loss" in metrics:
            values["loss"] = metrics["val/loss"]
        for directory, loss in losses.items():
            self._writer(directory).add_scalar("loss", loss, step)
        super().log_metrics(values, step)

    @rank_zero_only
    def log_summary(self, options: dict[str, Any], results: dict[str, float], step: int) -> None:
        """Write options and results for HParams.

        Without a description of all runs, which each run would have to write anew, TensorBoard compares the runs
        itself, and shows the options that differ first.
        """
        from torch.utils.tensorboard.summary import hparams  # slow to import

        self.log_metrics(results, step)
        _, *summaries = hparams(options, results)
        for summary in summaries:
            self.experiment.file_writer.add_summary(summary, step)

    def _writer(self, directory: str) -> "SummaryWriter":
        if directory not in self._writers:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            self._writers[directory] = SummaryWriter(str(Path(self.log_dir, directory)), purge_step=self._purge_step)
        return self._writers[directory]

    def save(self) -> None:
        """Flush the files, but write no hparams.yaml: config.yaml has the options."""
        self.experiment.flush()
        for writer in self._writers.values():
            writer.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the files."""
        super().finalize(status)
        for writer in self._writers.values():
            writer.close()


def tag(name: str) -> str:
    """The name of a metric in TensorBoard, which begins with its group."""
    _, _, metric = name.partition("val/samples_")
    if not metric:
        return name
    return f"samples/{metric}" if metric in _OF_SAMPLES else f"samples_more/{metric}"


class TensorBoardSummary(Callback):
    """Writes the options and results of a complete run for HParams, and draws the trained model.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Path) -> None:
        self._run = run

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write and draw: after the last checkpoint, so that no error can lose it."""
        logger, step = trainer.logger, trainer.global_step - 1
        if not isinstance(logger, RunTensorBoard) or not trainer.is_global_zero:
            return
        logger.log_summary(*_options_and_results(self._run), step)
        for name, picture in PICTURES.items():
            if picture.tensorboard is not None:
                with suppress(UserError):  # the model has no such picture
                    data = {"data": trainer.datamodule} if picture.of_data else {}
                    figure = picture.draw(pl_module, **picture.tensorboard, **data)
                    logger.experiment.add_figure(f"view/{name}", figure, step)


def _options_and_results(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options and results of a run for HParams."""
    about = read_run(run)
    options: dict[str, Any] = {"architecture": about.architecture}
    for name, value in about.options.items():
        if value is not None and (name in _OPTIONS or name.startswith(("model.", "optimizer"))):
            # A class is shown without its module, and a bool, which would be a number, as text.
            options[name] = str(value).rsplit(".", 1)[-1] if name == "optimizer" or isinstance(value, bool) else value
    results = {f"summary/{name.replace('/', '_')}": about.row[name] for name in _RESULTS}
    return options, {tag: value for tag, value in results.items() if value is not None}

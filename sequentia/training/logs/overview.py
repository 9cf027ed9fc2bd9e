"""What TensorBoard shows of a run as a whole: its options and results (HParams), texts, embeddings and the graph."""

import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor, nn

from sequentia.data import CharDataModule
from sequentia.files import replacing
from sequentia.inference.model import evaluating
from sequentia.models import ARCHITECTURES, LanguageModel, NGram
from sequentia.reporting.heatmap import label
from sequentia.reporting.report import Value, read_run
from sequentia.runs.directory import CONFIG

_RESULTS = ("val/loss", "test/loss", "samples_novel", "samples_unique", "seconds", "parameters", "steps")
"""Columns of HParams, in this order; each is a curve `summary/...` of one point."""

_GROUPS = ("model", "optimizer", "lr_scheduler")
_OPTIONS = (
    *("data.path", "data.batch_size", "data.max_length", "data.deduplicate", "data.seed"),
    *("trainer.max_steps", "trainer.precision", "seed_everything", "init_from", "compile"),
)
"""Options that HParams shows: those that decide what a run learns, and no paths, intervals or devices."""

_FIRST = ("data.path", "model", "model.n_layer", "seed_everything", "trainer.max_steps")
"""Those of them that it shows before the reader chooses others."""

_OPTIONS_FILE, _RESULTS_FILE = "events.out.tfevents.0", "events.out.tfevents.9999999999"
"""How the names of the event files for HParams begin. TensorBoard reads files in alphabetical order. While a run is
writing, its slower reader follows only the last one, so the options must come first. The results must come last: a
run begins with an event that removes what was read before."""

_SUFFIX = ".hparams"
_LARGEST_TRACED = 1_000_000  # parameters of a model whose graph is drawn
_LAYOUT = {
    "loss": {"training and validation": ["Multiline", ["train/loss", "val/loss"]]},
    "samples": {
        "new and distinct": ["Multiline", ["samples/novel", "samples/unique", "samples/near_copies"]],
        "lines of a split": ["Multiline", ["samples/in_.*"]],
        "distance from validation lines": ["Multiline", ["samples/length_distance", "samples/bigram_divergence"]],
    },
    "optimization": {
        "learning rates": ["Multiline", ["vitals/lr_.*"]],
        "gradient norm": ["Multiline", ["vitals/grad_norm"]],
        "speed": ["Multiline", ["vitals/lines_per_second", "vitals/chars_per_second"]],
    },
}
"""Charts of the tab Custom Scalars."""


class Overview(Callback):
    """Writes it to TensorBoard: options, data and layout when training starts, the rest when the run is saved.

    Args:
        run: The run directory.
        compiled: Whether the model is compiled, which rules out its graph.
    """

    def __init__(self, run: Path, compiled: bool = False) -> None:
        self._run, self._compiled = run, compiled
        self._begun = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what is known before the first step; config.yaml is written in `on_train_start`."""
        if self._begun:
            return
        self._begun = True
        for logger in _tensorboards(trainer):
            writer, step = logger.experiment, trainer.global_step
            writer.add_text("about/options", _code_block((self._run / CONFIG).read_text(encoding="utf-8")), step)
            if isinstance(trainer.datamodule, CharDataModule):
                writer.add_text("about/data", _code_block(trainer.datamodule.summary.replace("; ", ";\n")), step)
            writer.add_custom_scalars(_LAYOUT)
            write_hparams(self._run, Path(logger.log_dir), finished=False)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the embeddings, the graph and the results: after the last checkpoint, so that no error can lose it."""
        model = cast(LanguageModel, pl_module)
        for logger in _tensorboards(trainer):
            embedding = input_embedding(model)
            if embedding is not None:
                labels = ["boundary", *map(label, model.vocabulary.characters)]
                vectors = embedding.detach().float().cpu()
                logger.experiment.add_embedding(vectors, labels, tag="characters", global_step=trainer.global_step - 1)
            searches = any(isinstance(module, NGram) for module in model.modules())
            if not searches and model.num_parameters <= _LARGEST_TRACED and not self._compiled:
                _write_graph(logger, model)
            write_hparams(self._run, Path(logger.log_dir))


def input_embedding(model: LanguageModel) -> Tensor | None:
    """The vector of each token that the model reads, `(V, C)`; None if it reads none."""
    declared = model.vocabulary_dims()
    embeddings = (module.weight for module in model.modules() if isinstance(module, nn.Embedding))
    return next((weight for weight in embeddings if weight in declared), None)


def _tensorboards(trainer: Trainer) -> Iterator[TensorBoardLogger]:
    if trainer.is_global_zero:
        yield from (logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger))


def _write_graph(logger: TensorBoardLogger, model: LanguageModel) -> None:
    context = torch.zeros(1, 4, dtype=torch.long, device=model.device)
    with evaluating(model), warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")  # that a trace holds for one length only does not matter for a drawing
        logger.experiment.add_graph(model, context)


def write_hparams(run: Path, directory: Path, finished: bool = True) -> None:
    """Write the options and results of a run for the tab HParams, in place of what was written before.

    Args:
        run: The run directory, from which they are read.
        directory: Directory of the event files.
        finished: Whether the run has results.

    Raises:
        UserError: The run directory is damaged, or the file cannot be written.
    """
    from torch.utils.tensorboard.summary import hparams, scalar  # slow to import

    about = read_run(run)
    options = dict(_shown(about.options))
    results = {_tag(name): value for name in _RESULTS if isinstance(value := about.row[name], int | float)}
    # TensorBoard takes the columns of all runs from one of them, so each declares those of all architectures.
    columns, _, _ = hparams(_defaults() | options, dict.fromkeys(map(_tag, _RESULTS)))
    _show_first(columns)
    _, values, _ = hparams(options, {})
    before = hparams_files(directory)
    step = max(0, (about.steps or 0) - 1)
    _write(directory, _OPTIONS_FILE, [columns, values], step)
    if finished:
        _write(directory, _RESULTS_FILE, [scalar(tag, value) for tag, value in results.items()], step)
    for path in before:
        path.unlink()


def _write(directory: Path, name: str, summaries: Sequence[Summary], step: int) -> None:
    """Write an event file as a whole. Its name is new, because an open TensorBoard reads no file twice."""
    from torch.utils.tensorboard import FileWriter

    with TemporaryDirectory() as scratch:
        writer = FileWriter(scratch)
        for summary in summaries:
            writer.add_summary(summary, step)
        writer.close()
        (written,) = Path(scratch).iterdir()
        with replacing(directory / f"{name}.{time.time_ns()}{_SUFFIX}") as temporary:
            temporary.write_bytes(written.read_bytes())


def _show_first(columns: Summary) -> None:
    """Declare which columns differ between runs: TensorBoard shows them first, in alphabetical order."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    (value,) = columns.value
    data = HParamsPluginData.FromString(value.metadata.plugin_data.content)
    for info in data.experiment.hparam_infos:
        info.differs = info.name in _FIRST
    value.metadata.plugin_data.content = data.SerializeToString()


def hparams_files(directory: Path) -> list[Path]:
    """The event files that `write_hparams` wrote."""
    return sorted(directory.glob(f"events.out.tfevents.*{_SUFFIX}"))


def _shown(options: Mapping[str, Value]) -> Iterator[tuple[str, int | float | str]]:
    for name, value in options.items():
        if value is not None and (name in _OPTIONS or name.split(".")[0] in _GROUPS):
            yield name, str(value).rsplit(".", 1)[-1] if name in _GROUPS else _plain(value)  # a class has no module


def _plain(value: int | float | str) -> int | float | str:
    """A value as HParams can show it: a bool would be a number."""
    return str(value).lower() if isinstance(value, bool) else value


def _defaults() -> dict[str, int | float | str]:
    """Options of all architectures with their defaults, which tell TensorBoard the type of a column."""
    return {
        f"model.{name}": _plain(parameter.default)
        for architecture in ARCHITECTURES.values()
        for name, parameter in signature(architecture).parameters.items()
        if isinstance(parameter.default, int | float | str)
    }


def _tag(result: str) -> str:
    return f"summary/{result.replace('/', '_')}"


def _code_block(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())

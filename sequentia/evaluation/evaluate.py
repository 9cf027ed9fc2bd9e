"""Model and data -> every metric of the held-out lines and of samples, under the names that a run logs."""

from collections.abc import Callable
from typing import Any, cast

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation.metrics import NUM_SAMPLES, HeldOut, Measurement, Metrics, metrics
from sequentia.inference.batch import Batch
from sequentia.inference.model import evaluating
from sequentia.models import LanguageModel
from sequentia.models.base import check_same_vocabulary
from sequentia.runs.checkpoint import training_data


def evaluate(
    model: LanguageModel,
    data: CharDataModule | None = None,
    split: HeldOut = "test",
    *,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
    valid: Callable[[str], object] | None = None,
) -> Metrics:
    """Every metric of a model on held-out lines, of its samples, and of simpler models on the same lines.

    Args:
        model: Any architecture. It is switched to evaluation mode while it is evaluated.
        data: The data that the model was trained on, by default that of the run that it was loaded from; with
            `num_samples=0` also other data with the same vocabulary.
        split: The held-out lines.
        num_samples: Number of lines to draw; 0 leaves out the metrics of samples.
        seed: Seed of the draw.
        valid: A function of a text that returns whether it is valid.

    Returns:
        Values by name, such as `test/loss`; `sequentia.evaluation.metrics.METRICS` has their meanings. A metric that
        cannot be measured is missing.

    Raises:
        UserError: The data is missing or has changed, the split is empty, the vocabulary is not the model's, a line is
            too long for the model, the model's probabilities are NaN, or `valid` fails on a sample.
    """
    data = training_data(model, "evaluate", "give the data as CharDataModule(...)") if data is None else data
    if not isinstance(data, CharDataModule):
        raise UserError(
            f"data must be a CharDataModule, got a {type(data).__name__}: evaluate(model, CharDataModule(...))"
        )
    check_evaluates(model, data, split)
    model.held_out_nll.reset()
    measurement = Measurement(model, data, split, num_samples=num_samples, seed=seed, valid=valid)
    try:
        with evaluating(model), torch.no_grad():
            for batch in data.eval_batches(getattr(data.split, split)):
                on_device = move_data_to_device(batch, model.device)
                model.test_step(on_device)
                measurement.update(on_device)
            return metrics(measurement)
    finally:
        model.held_out_nll.reset()


class Evaluation(Callback):
    """Measures while a Trainer validates or tests.

    Args:
        options: Options of `Measurement`.

    Attributes:
        values: The metrics of the last validation or test, by name.
    """

    def __init__(self, **options: Any) -> None:
        self.values: dict[str, float] = {}
        self._options = options

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start measuring."""
        model, data = cast(LanguageModel, pl_module), cast(CharDataModule, trainer.datamodule)
        self.measurement = Measurement(model, data, "test" if trainer.testing else "val", **self._options)

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *_: Any
    ) -> None:
        """Add a batch."""
        self.measurement.update(batch)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the metrics."""
        self.values = metrics(self.measurement)

    on_validation_start = on_test_start
    on_validation_batch_end = on_test_batch_end
    on_validation_epoch_end = on_test_epoch_end


def check_evaluates(model: LanguageModel, data: CharDataModule, split: HeldOut) -> None:
    """Refuse data that a model cannot be evaluated on.

    Raises:
        UserError: The split is empty, the vocabulary is not the model's, or a line is too long for the model.
    """
    check_same_vocabulary(model.vocabulary, data.vocabulary, "score takes lines of any characters")
    if model.max_positions is not None and data.context_length > model.max_positions:
        raise UserError(
            f"{data.shown_path} has lines of {data.context_length - 1} characters, but the model reads at most "
            f"{model.max_positions - 1}: set max_length"
        )
    if len(getattr(data.split, split)) == 0:
        name = {"val": "validation", "test": "test"}[split]
        raise UserError(f"{data.shown_path} has no {name} lines: give some with {split}_path")

"""Model and data -> every metric of the held-out lines and of samples, under the names that a run logs."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from lightning.fabric.utilities import move_data_to_device
from torchmetrics import SumMetric

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation.baselines import baselines, rank_and_processes
from sequentia.evaluation.samples import SampleQuality
from sequentia.evaluation.validity import share_valid
from sequentia.inference.batch import Batch
from sequentia.inference.likelihood import CharacterAccuracy, bits_per_char, perplexity
from sequentia.inference.model import evaluating
from sequentia.models import LanguageModel
from sequentia.runs.directory import training_data
from sequentia.vocabulary import BOUNDARY

NUM_SAMPLES = 1000
"""Default number of samples of an evaluation."""

_EDITS = 5_000_000  # edited samples that are looked up: about a second
_ACCURACY_CHARACTERS = 1_000_000  # evaluated for the accuracy: standard error below 0.0005
_NGRAM_CHARACTERS = 1_000_000  # of training lines that are counted for the baseline: 4 seconds
BIGRAM_CHARACTERS = 10_000_000
"""Characters of training lines up to which bigrams are counted for a baseline: 2 seconds."""

Split = Literal["val", "test"]


class Quality:
    """What is measured of a model on the lines of a split: `update` with each batch, then `compute`.

    Every process takes its share of the batches and of the samples. All must call `compute`.

    Args:
        model: The model, in evaluation mode. Its own metric, `val_nll` or `test_nll`, sums the NLL, as in a run.
        data: The data. With samples, it must be the data that the model was trained on.
        split: The held-out lines.
        num_samples: Number of lines to draw; 0 leaves out the metrics of samples.
        seed: Seed of the draw.
        valid: Whether a sample is valid, in the user's own judgment; None leaves it out.
    """

    def __init__(
        self,
        model: LanguageModel,
        data: CharDataModule,
        split: Split,
        *,
        num_samples: int = NUM_SAMPLES,
        seed: int = 0,
        valid: Callable[[str], object] | None = None,
    ) -> None:
        self.model, self.data, self.split = model, data, split
        self.num_samples, self.seed, self.valid = num_samples, seed, valid
        self.nll = model.val_nll if split == "val" else model.test_nll
        characters = data.corpus.num_targets(getattr(data.split, split)).sum()
        self._every = max(1, int(characters) // _ACCURACY_CHARACTERS)
        self._accuracy = CharacterAccuracy().to(model.device)
        self._lines = SumMetric().set_dtype(torch.float64).to(model.device)  # float32 counts to 2^24

    def update(self, batch: Batch) -> None:
        """Add a batch, which `validation_step` or `test_step` has added to the NLL."""
        self._lines.update((batch.target == BOUNDARY).sum())
        update_accuracy(self._accuracy, self.model, batch, self._every)

    def compute(self) -> dict[str, float]:
        """The metrics by name; see `evaluate`.

        Raises:
            UserError: The model's probabilities are NaN, or `valid` fails on a sample.
        """
        nll = self.nll.compute()
        values = {
            "loss": nll,
            **{f"baseline_{name}": value for name, value in self._baselines().items()},
            "bits_per_char": bits_per_char(nll),
            "perplexity": perplexity(nll),
            "accuracy": self._accuracy.compute(),
            **{f"samples_{name}": value for name, value in self._samples().items()},
            "lines": self._lines.compute(),
        }
        return {f"{self.split}/{name}": float(value) for name, value in values.items()}

    def _baselines(self) -> dict[str, float]:
        """The baselines that are counted in seconds."""
        if self.data.train_characters > BIGRAM_CHARACTERS:
            return {"uniform": math.log(len(self.data.vocabulary))}
        return baselines(self.data, self.split, ngram=self.data.train_characters <= _NGRAM_CHARACTERS)

    def _samples(self) -> dict[str, float]:
        if self.num_samples == 0:
            return {}
        # All processes draw the same lines, and each measures its share.
        texts = self.model.sample(self.num_samples, seed=self.seed, max_length=self.model.context_length - 1)
        rank, processes = rank_and_processes()
        quality = SampleQuality(self.data, self.split, _EDITS // processes).to(self.model.device)
        quality.update(texts[rank::processes])
        values = {name: float(value) for name, value in quality.compute().items()}
        if self.valid is not None:
            values["valid"] = share_valid(self.valid, texts)
        return values | {"drawn": self.num_samples}


def update_accuracy(metric: CharacterAccuracy, model: LanguageModel, batch: Batch, every: int) -> None:
    """Add every n-th row of a batch: unlike the NLL of some models, the accuracy needs the logits of all tokens."""
    position = None if batch.position is None else batch.position[::every]
    metric.update(model(batch.context[::every], position), batch.target[::every])


@torch.no_grad()
def evaluate(
    model: LanguageModel,
    data: CharDataModule,
    split: Split = "test",
    *,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
    valid: Callable[[str], object] | None = None,
) -> dict[str, float]:
    """Evaluate a model on the held-out lines of a split, and the lines that it makes.

    Args:
        model: Any architecture. It is switched to evaluation mode while it is evaluated.
        data: The data that the model was trained on; with `num_samples=0` also other data with the same vocabulary.
        split: The held-out lines.
        num_samples: Number of lines to draw; 0 leaves out the metrics of samples.
        seed: Seed of the draw.
        valid: A function of a text that says whether it is valid.

    Returns:
        Values by name, such as `test/loss`:

        - `loss` (NLL in nats per character), `bits_per_char`, `perplexity`, `accuracy` (of every n-th row, if the lines
          have more than a million characters);
        - `baseline_uniform`, `baseline_bigram_counts`, `baseline_ngram`: NLLs of simpler models on the same lines; see
          `sequentia.evaluation.baselines`. The n-gram is missing if there are more than a million training characters,
          the bigram if there are more than ten million;
        - `samples_unique`, `samples_novel`, ...: see `SampleQuality`; `samples_valid`, the share for which `valid` is
          true; `samples_drawn`, their number;
        - `lines`, the number of held-out lines.

    Raises:
        UserError: The split is empty, the vocabulary is not the model's, a line is too long for the model, the model's
            probabilities are NaN, or `valid` fails on a sample.
    """
    check_evaluates(model, data, split)
    batches = data.val_dataloader() if split == "val" else data.test_dataloader()
    step = model.validation_step if split == "val" else model.test_step
    quality = Quality(model, data, split, num_samples=num_samples, seed=seed, valid=valid)
    with evaluating(model):
        quality.nll.reset()
        for batch in batches:
            on_device = move_data_to_device(batch, model.device)
            step(on_device)
            quality.update(on_device)
        values = quality.compute()
        quality.nll.reset()
    return values


def check_evaluates(model: LanguageModel, data: CharDataModule, split: Split) -> None:
    """Refuse data that a model cannot be evaluated on.

    Raises:
        UserError: The split is empty, the vocabulary is not the model's, or a line is too long for the model.
    """
    model.check_vocabulary(data.vocabulary)
    if model.max_positions is not None and data.context_length > model.max_positions:
        raise UserError(
            f"{data.shown_path} has lines of {data.context_length - 1} characters, but the model reads at most "
            f"{model.max_positions - 1}: set --data.max_length"
        )
    if len(getattr(data.split, split)) == 0:
        name = {"val": "validation", "test": "test"}[split]
        ready_made = data.val_path is not None or data.test_path is not None
        remedy = "" if ready_made else f", or hold some out with --data.{split}_fraction"
        raise UserError(f"{data.shown_path} has no {name} lines: give some with --data.{split}_path{remedy}")


def evaluate_run(model: LanguageModel, data: object, split: Split, **options: Any) -> dict[str, float]:
    """`evaluate` on data or, if it is None, on that of the run that the model was loaded from.

    Raises:
        UserError: The model was not loaded from a run, its data has changed, or `data` is no CharDataModule.
    """
    if data is None:
        if model.run is None:
            raise UserError("this model was not loaded from a run: give the data, test(CharDataModule(...))")
        data = training_data(model.run, "test()")
        if model.data_state is not None and model.data_state != data.state_dict():
            raise UserError(
                f"{data.shown_path} has changed since {model.run} was started: restore it, or give the data, "
                "test(CharDataModule(...))"
            )
    if not isinstance(data, CharDataModule):
        raise UserError(f"data must be a CharDataModule, got a {type(data).__name__}: test(CharDataModule(...))")
    return evaluate(model, data, split, **options)

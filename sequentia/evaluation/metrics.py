"""The table of metrics: each is computed from predictions of held-out lines and from samples."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import MeanMetric, SumMetric

from sequentia.data import CharDataModule
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.samples import SampleQuality
from sequentia.inference.batch import Batch
from sequentia.inference.classification import label_log_probs
from sequentia.inference.conditions import is_valid
from sequentia.inference.likelihood import CharacterMean, bits_per_char, correct, perplexity
from sequentia.inference.model import check_probabilities
from sequentia.inference.sampling import Sample, drafts
from sequentia.models import LanguageModel
from sequentia.vocabulary import BOUNDARY

HeldOut = Literal["val", "test"]
NUM_SAMPLES = 1000
"""Default number of samples of an evaluation."""

LABEL_PAIRS = 200_000
"""About how many pairs of a line and a label an evaluation computes the probability of: the time grows with it."""


class Measurement:
    """A model's predictions of held-out lines, and lines that it samples: the input of every metric.

    Each process adds its own batches. The rest is collective: every process must compute the same metrics, and all draw
    the same samples.

    Args:
        model: The model. Its own metric, `held_out_nll`, sums the NLL.
        data: The data.
        split: The held-out lines.
        num_samples: See `sequentia.evaluate`, also for `seed` and `valid`.
        seed: Seed of the draw.
        valid: Whether a sample is valid.
        accuracy_characters: About how many predicted characters to measure the accuracy on. A million give a
            standard error below 0.0005.
        label_pairs: About how many pairs of a line and a label to measure the labels on; none if 0.

    Attributes:
        accuracy: Accuracy on some of the rows, because unlike the NLL of some models it needs the logits of all tokens.
        lines: Number of held-out lines.
        label_accuracy: Mean over lines with a label, on some of the rows, because all labels are tried in turn.
        label_log_loss: Mean over the same lines.
    """

    def __init__(
        self,
        model: LanguageModel,
        data: CharDataModule,
        split: HeldOut,
        *,
        num_samples: int = NUM_SAMPLES,
        seed: int = 0,
        valid: Callable[[str], object] | None = None,
        accuracy_characters: int = 1_000_000,
        label_pairs: int = LABEL_PAIRS,
    ) -> None:
        self.model, self.data, self.split = model, data, split
        self.num_samples, self.seed, self.valid = num_samples, seed, valid
        characters = int(data.corpus.num_targets(getattr(data.split, split)).sum())
        self._every = max(1, characters // accuracy_characters)
        self.accuracy = CharacterMean().to(model.device)
        self.lines = SumMetric().set_dtype(torch.float64).to(model.device)  # float32 counts to 2^24
        self.has_labels = bool(data.vocabulary.labels and label_pairs)
        self.label_accuracy, self.label_log_loss = MeanMetric(), MeanMetric()
        for mean in (self.label_accuracy, self.label_log_loss):
            mean.set_dtype(torch.float64).to(model.device)
        pairs = len(getattr(data.split, split)) * len(data.vocabulary.labels)
        self._label_every, self._rows = max(1, pairs // max(1, label_pairs)), 0

    def update(self, batch: Batch) -> None:
        """Add a batch, which `validation_step` or `test_step` has added to the NLL."""
        self.lines.update((batch.target == BOUNDARY).sum())
        context, target, position = (tensor[:: self._every] for tensor in batch[:3])
        self.accuracy.update(*correct(self.model(context, position), target))
        if self.has_labels:
            self._update_labels(batch)

    def _update_labels(self, batch: Batch) -> None:
        """Add every n-th of all rows."""
        chosen = slice(-self._rows % self._label_every, None, self._label_every)
        self._rows += len(batch.target)
        if chosen.start < len(batch.target):
            context, target, position = (tensor[chosen] for tensor in batch[:3])
            starts, log_probs = label_log_probs(self.model, Batch(context, target, position, batch.total))
            own, log_probs = (each[starts != BOUNDARY] for each in (starts - len(self.model.vocabulary), log_probs))
            self.label_accuracy.update((log_probs.argmax(1) == own).double())
            self.label_log_loss.update(-log_probs.gather(1, own[:, None])[:, 0])

    @cached_property
    def nll(self) -> Tensor:
        """NLL in nats per character.

        Raises:
            UserError: The NLL is NaN.
        """
        return check_probabilities(self.model.held_out_nll.compute())

    @cached_property
    def baselines(self) -> dict[str, float]:
        """NLLs of simpler models."""
        return baselines(self.data, self.split)

    @cached_property
    def drafts(self) -> list[Sample]:
        """The sampled lines, each with its label.

        Raises:
            UserError: The model's probabilities are NaN.
        """
        return drafts(self.model, self.num_samples, seed=self.seed, max_length=self.model.context_length - 1)

    @cached_property
    def samples(self) -> SampleQuality | None:
        """The texts of the sampled lines.

        Raises:
            UserError: The model's probabilities are NaN.
        """
        if self.num_samples == 0:
            return None
        return SampleQuality([sample.text for sample in self.drafts], self.data, self.split)


@dataclass(frozen=True)
class Metric:
    """An entry of the table.

    Attributes:
        meaning: Its meaning, as a phrase.
        compute: Its value; None if it cannot be measured. An int is a count.
        digits: Number of decimal places that are shown.
        fit: Whether each validation of a run measures it too. The model itself logs loss, bits per character and
            perplexity then.
    """

    meaning: str
    compute: Callable[[Measurement], float | None]
    digits: int = 4
    fit: bool = False

    def shown(self, value: float) -> str:
        """A value formatted for people."""
        return f"{value:,.{self.digits}f}"


def _of_samples(meaning: str, compute: Callable[[SampleQuality], float | None]) -> Metric:
    return Metric(meaning, lambda m: None if m.samples is None else compute(m.samples), fit=True)


def _of_labels(m: Measurement, mean: MeanMetric) -> float | None:
    value = float(mean.compute()) if m.has_labels else math.nan
    return None if math.isnan(value) else value  # no line has a label


def _valid(m: Measurement) -> float | None:
    if m.samples is None or m.valid is None:
        return None
    return sum(is_valid(m.valid, text) for text in m.samples.texts) / m.num_samples


METRICS = {
    "loss": Metric("NLL in nats per character; lower is better", lambda m: float(m.nll)),
    "baseline_uniform": Metric("NLL of a uniform guess", lambda m: m.baselines["uniform"]),
    "baseline_bigram_counts": Metric("NLL of counted character pairs", lambda m: m.baselines.get("bigram_counts")),
    "baseline_ngram": Metric("NLL of counted n-grams", lambda m: m.baselines.get("ngram")),
    "bits_per_char": Metric("NLL in bits per character", lambda m: float(bits_per_char(m.nll))),
    "perplexity": Metric("exp NLL: effective number of next characters", lambda m: float(perplexity(m.nll))),
    "accuracy": Metric("fraction of characters predicted correctly", lambda m: float(m.accuracy.compute()), fit=True),
    "label_accuracy": Metric(
        "fraction of lines whose most probable label is their own", lambda m: _of_labels(m, m.label_accuracy)
    ),
    "label_log_loss": Metric("mean -log P(label | line), in nats", lambda m: _of_labels(m, m.label_log_loss)),
    "samples_unique": _of_samples("fraction of distinct lines among the samples", lambda s: s.unique),
    "samples_novel": _of_samples("fraction not in the training data", lambda s: 1 - s.in_split("train")),
    "samples_in_train": _of_samples("fraction in the training data", lambda s: s.in_split("train")),
    "samples_in_val": _of_samples("fraction in the validation data", lambda s: s.in_split("val")),
    "samples_in_test": _of_samples("fraction in the test data", lambda s: s.in_split("test")),
    "samples_near_copies": _of_samples(
        "fraction of the novel samples one edit from a training line", lambda s: s.near_copies
    ),
    "samples_length_distance": _of_samples(
        "Wasserstein distance of lengths from the held-out lines", lambda s: s.length_distance
    ),
    "samples_bigram_divergence": _of_samples(
        "Jensen-Shannon divergence of character pairs, in bits", lambda s: s.bigram_divergence
    ),
    "samples_valid": Metric("fraction of valid samples", _valid),
    "samples_drawn": Metric("number of samples", lambda m: m.num_samples or None, digits=0),
    "lines": Metric("number of held-out lines", lambda m: int(m.lines.compute()), digits=0),
}
"""Name of each metric -> its entry, in the order in which they are shown."""


class Metrics(dict[str, float]):
    """Values by the name of the split and their own, such as `test/loss`. A notebook shows them as a table."""


def metrics(measurement: Measurement, fit: bool = False) -> Metrics:
    """The metrics that can be measured, by the name of the split and their own: `test/loss`.

    Args:
        measurement: The predictions and samples that they are computed from.
        fit: Only those that each validation of a run measures.

    Raises:
        UserError: The model's probabilities are NaN, or the user's function of valid samples fails.
    """
    values = {name: metric.compute(measurement) for name, metric in METRICS.items() if metric.fit or not fit}
    return Metrics({f"{measurement.split}/{name}": value for name, value in values.items() if value is not None})

"""The table of metrics: a metric is one entry, with what it means, how it is computed, and how it is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import SumMetric

from sequentia.data import CharDataModule
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.samples import Samples
from sequentia.evaluation.validity import is_valid
from sequentia.inference.batch import Batch
from sequentia.inference.likelihood import CharacterAccuracy, bits_per_char, perplexity
from sequentia.inference.model import check_probabilities
from sequentia.models import LanguageModel
from sequentia.vocabulary import BOUNDARY

HeldOut = Literal["val", "test"]

NUM_SAMPLES = 1000
"""Default number of samples of an evaluation."""


class Measurement:
    """A model's predictions of held-out lines, and lines that it samples: all that metrics are computed from.

    Each process adds its own batches. The rest is collective: every process must compute the same metrics, and all draw
    the same samples.

    Args:
        model: The model. Its own metric, `val_nll` or `test_nll`, sums the NLL.
        data: The data. With samples, it must be the data that the model was trained on.
        split: The held-out lines.
        num_samples: Number of lines to draw; 0 leaves out the metrics of samples.
        seed: Seed of the draw.
        valid: A function of a text that returns whether it is valid; None leaves out that metric.
        accuracy_characters: About as many predicted characters are enough for the accuracy. With a million, its
            standard error is below 0.0005.
        max_edits: See `Samples`; five million take about a second.
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
        max_edits: int = 5_000_000,
    ) -> None:
        self.model, self.data, self.split = model, data, split
        self.num_samples, self.seed, self.valid, self.max_edits = num_samples, seed, valid, max_edits
        characters = int(data.corpus.num_targets(getattr(data.split, split)).sum())
        self._every = max(1, characters // accuracy_characters)
        self._accuracy = CharacterAccuracy().to(model.device)
        self._lines = SumMetric().set_dtype(torch.float64).to(model.device)  # float32 counts to 2^24

    def update(self, batch: Batch) -> None:
        """Add a batch, which `validation_step` or `test_step` has added to the NLL."""
        self._lines.update((batch.target == BOUNDARY).sum())
        # Unlike the NLL of some models, the accuracy needs the logits of all tokens: some of the rows are enough.
        context, target, position = (tensor[:: self._every] for tensor in batch[:3])
        self._accuracy.update(self.model(context, position), target)

    @cached_property
    def nll(self) -> Tensor:
        """NLL in nats per character.

        Raises:
            UserError: It is NaN.
        """
        return check_probabilities((self.model.val_nll if self.split == "val" else self.model.test_nll).compute())

    @property
    def accuracy(self) -> Tensor:
        """Fraction of the predicted characters that are the model's most probable ones."""
        return self._accuracy.compute()

    @property
    def lines(self) -> int:
        """Number of held-out lines."""
        return int(self._lines.compute())

    @cached_property
    def baselines(self) -> dict[str, float]:
        """NLLs of simpler models."""
        return baselines(self.data, self.split)

    @cached_property
    def samples(self) -> Samples | None:
        """The sampled lines.

        Raises:
            UserError: The model's probabilities are NaN.
        """
        if self.num_samples == 0:
            return None
        texts = self.model.sample(self.num_samples, seed=self.seed, max_length=self.model.context_length - 1)
        return Samples(texts, self.data, self.split, self.max_edits)

    def compute(self, fit: bool = False) -> dict[str, float]:
        """The metrics by name, such as `test/loss`; those of the samples are missing without samples.

        Args:
            fit: Only those that each validation of a run measures.

        Raises:
            UserError: The model's probabilities are NaN, or `valid` fails on a sample.
        """
        chosen = {name: metric for name, metric in METRICS.items() if metric.fit or not fit}
        values = {f"{self.split}/{name}": metric.compute(self) for name, metric in chosen.items()}
        return {
            name: value if isinstance(value, int) else float(value)
            for name, value in values.items()
            if value is not None
        }


@dataclass(frozen=True)
class Metric:
    """An entry of the table.

    Attributes:
        meaning: What it means, in a phrase.
        compute: Its value; None if it cannot be measured. An int is a count.
        digits: Number of decimal places that are shown.
        fit: Whether each validation of a run measures it too. The model itself logs loss, bits per character and
            perplexity then.
    """

    meaning: str
    compute: Callable[[Measurement], Tensor | float | None]
    digits: int = 4
    fit: bool = False

    def shown(self, value: float) -> str:
        """A value as people read it."""
        return f"{value:,.{self.digits}f}"


def _of_samples(meaning: str, compute: Callable[[Samples], float | None]) -> Metric:
    return Metric(meaning, lambda m: None if m.samples is None else compute(m.samples), fit=True)


def _valid(m: Measurement) -> float | None:
    if m.samples is None or m.valid is None:
        return None
    return sum(is_valid(m.valid, text) for text in m.samples.texts) / m.num_samples


METRICS = {
    "loss": Metric("NLL in nats per character; lower is better", lambda m: m.nll),
    "baseline_uniform": Metric("NLL of a uniform guess", lambda m: m.baselines["uniform"]),
    "baseline_bigram_counts": Metric("NLL of counted character pairs", lambda m: m.baselines.get("bigram_counts")),
    "baseline_ngram": Metric("NLL of counted n-grams", lambda m: m.baselines.get("ngram")),
    "bits_per_char": Metric("NLL in bits per character", lambda m: bits_per_char(m.nll)),
    "perplexity": Metric("exp NLL: effective number of next characters", lambda m: perplexity(m.nll)),
    "accuracy": Metric("fraction of characters that the model ranks first", lambda m: m.accuracy, fit=True),
    "samples_unique": _of_samples("fraction of distinct lines among the samples", lambda s: s.unique),
    "samples_novel": _of_samples("fraction not in the training data", lambda s: 1 - s.in_split("train")),
    "samples_in_train": _of_samples("fraction in the training data", lambda s: s.in_split("train")),
    "samples_in_val": _of_samples("fraction in the validation data", lambda s: s.in_split("val")),
    "samples_in_test": _of_samples("fraction in the test data", lambda s: s.in_split("test")),
    "samples_near_copies": _of_samples("fraction of the novel one edit from a training line", lambda s: s.near_copies),
    "samples_length_distance": _of_samples(
        "Wasserstein distance of lengths from the held-out lines", lambda s: s.length_distance
    ),
    "samples_bigram_divergence": _of_samples(
        "Jensen-Shannon divergence of character pairs, in bits", lambda s: s.bigram_divergence
    ),
    "samples_valid": Metric("fraction that is valid", _valid),
    "samples_drawn": Metric("number of samples", lambda m: m.num_samples or None, digits=0),
    "lines": Metric("number of held-out lines", lambda m: m.lines, digits=0),
}
"""Name of each metric -> its entry, in the order in which they are shown."""

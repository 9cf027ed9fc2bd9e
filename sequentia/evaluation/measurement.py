"""The basis of all metrics: predictions of held-out lines, and samples."""

from collections.abc import Callable
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torchmetrics import SumMetric

from sequentia.data import CharDataModule
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.samples import SampleQuality
from sequentia.inference.batch import Batch
from sequentia.inference.likelihood import CharacterAccuracy
from sequentia.inference.model import check_probabilities
from sequentia.inference.sampling import drafts
from sequentia.models import LanguageModel
from sequentia.vocabulary import BOUNDARY

HeldOut = Literal["val", "test"]

NUM_SAMPLES = 1000
"""Default number of samples of an evaluation."""


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

    Attributes:
        accuracy: Accuracy on some of the rows, because unlike the NLL of some models it needs the logits of all tokens.
        lines: Number of held-out lines.
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
    ) -> None:
        self.model, self.data, self.split = model, data, split
        self.num_samples, self.seed, self.valid = num_samples, seed, valid
        characters = int(data.corpus.num_targets(getattr(data.split, split)).sum())
        self._every = max(1, characters // accuracy_characters)
        self.accuracy = CharacterAccuracy().to(model.device)
        self.lines = SumMetric().set_dtype(torch.float64).to(model.device)  # float32 counts to 2^24

    def update(self, batch: Batch) -> None:
        """Add a batch, which `validation_step` or `test_step` has added to the NLL."""
        self.lines.update((batch.target == BOUNDARY).sum())
        context, target, position = (tensor[:: self._every] for tensor in batch[:3])
        self.accuracy.update(self.model(context, position), target)

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
    def samples(self) -> SampleQuality | None:
        """The sampled lines.

        Raises:
            UserError: The model's probabilities are NaN.
        """
        if self.num_samples == 0:
            return None
        texts = drafts(self.model, self.num_samples, seed=self.seed, max_length=self.model.context_length - 1)
        return SampleQuality(texts, self.data, self.split)

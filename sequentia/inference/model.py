"""The protocol of a trained model; evaluation mode, batch size and a check for NaN, which all of inference shares."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.batch import Batch
from sequentia.vocabulary import Vocabulary

_POSITIONS = 16_384
_LOGITS = 2**24  # 64 MB


def batch_positions(size: int) -> int:
    """Largest number of positions in an evaluation batch; fewer for a large V, the `size`, which bounds the memory."""
    return min(_POSITIONS, _LOGITS // size)


class Model(Protocol):
    """The part of `sequentia.models.LanguageModel` that sampling and scoring need."""

    training: bool
    vocabulary: Vocabulary
    context_length: int

    def train(self, mode: bool = True) -> Any:
        """Switch between training and evaluation mode."""

    @property
    def device(self) -> torch.device:
        """Device of the weights."""

    @property
    def max_positions(self) -> int | None:
        """Number of positions of a line that the model can read; None if unlimited."""

    def step(self, token: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits `(B, V)` after `token` `(B,)`, and the state for the next step: tensors whose first dimension is B."""

    def target_log_probs(self, batch: Batch) -> Tensor:
        """Log probability of each target of a batch; 0 at padding; `(B, T)`."""


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Switch `model` to evaluation mode (no dropout), and back to its previous mode when the block ends."""
    training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(training)


def check_probabilities(values: Tensor) -> Tensor:
    """Probabilities or their logarithms, returned if none is NaN.

    Raises:
        UserError: A value is NaN: finite weights can be so large that their products are not finite.
    """
    if values.isnan().any():
        raise UserError(
            "the model's probabilities are NaN: its weights are NaN, infinite or too large; give another checkpoint"
        )
    return values

"""What sampling, scoring and drawing have in common: evaluation mode, and a check of what the model computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor

from sequentia.errors import UserError


class Module(Protocol):
    """What is needed of a model: `torch.nn.Module` has it."""

    training: bool

    def train(self, mode: bool = True) -> Any:
        """Switch between training and evaluation mode."""


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
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
        UserError: One is NaN, because finite weights can be so large that their products are not.
    """
    if values.isnan().any():
        raise UserError("the model's probabilities are NaN: its weights are too large; give another checkpoint")
    return values

"""Evaluation mode for the length of a block, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


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

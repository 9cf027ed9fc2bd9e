"""What a model's predictions are worth, per predicted character."""

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor
from torchmetrics import Metric


def bits_per_char(nll: Tensor) -> Tensor:
    """Bits per character from nats per character."""
    return nll / math.log(2)


class CharacterNLL(Metric):
    """Mean negative log likelihood in nats per predicted character, over all batches and processes.

    Every character weighs the same, whatever batch it stands in. Sums are kept in double precision: a mean over
    millions of characters keeps its digits.
    """

    full_state_update = False
    total: Tensor
    characters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("characters", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> Self:
        total = self.total
        super()._apply(fn, *args, **kwargs)
        # To the model's device, but not to its precision: a half-precision sum stops growing after 2,000 characters.
        self.total = total.to(self.total.device)
        self._defaults["total"] = torch.zeros_like(self.total)
        return self

    def update(self, nll_sum: Tensor, characters: int) -> None:
        """Take a batch's sum of negative log likelihoods, a scalar, and the number of its predicted characters."""
        self.total += nll_sum
        self.characters += characters

    def compute(self) -> Tensor:
        """The mean so far, a scalar."""
        return self.total / self.characters

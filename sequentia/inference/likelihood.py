"""The log probability of targets, and metrics of it per predicted character, the end of the line included."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric


def target_log_probs(logits: Tensor, target: Tensor) -> Tensor:
    """Log probability of each target; 0 at padding.

    Args:
        logits: `(B, T, V)`.
        target: `(B, T)` long; -100 at padding.

    Returns:
        `(B, T)` float.
    """
    # Mixed precision gives bfloat16 logits, which are too coarse to normalize.
    nll = F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), reduction="none")
    return -nll.view_as(target)


def bits_per_char(nll: Tensor) -> Tensor:
    """Bits per character from nats per character."""
    return nll / math.log(2)


def perplexity(nll: Tensor) -> Tensor:
    """Perplexity from nats per character: the number of equally likely characters that would be as hard to predict."""
    return nll.exp()


class CharacterMean(Metric):
    """A sum over predicted characters divided by their number, over all batches and processes.

    Every character has the same weight, whatever the size of its batch. The sum is kept in double precision, also in a
    half-precision model: in bfloat16 it would stop growing after a few thousand characters.
    """

    full_state_update = False
    total: Tensor
    characters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("characters", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, total: Tensor, characters: int | Tensor) -> None:
        """Add a batch: its sum, such as the negative log-likelihood in nats, and its number of predicted characters."""
        self.total = self.total.double() + total.double()  # moving a model to half precision also converts this sum
        self.characters += characters

    def compute(self) -> Tensor:
        """The mean so far, a scalar in double precision."""
        return self.total / self.characters


def correct(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Number of targets that are most probable (top-1; of equally probable characters the first counts), and of all.

    Args:
        logits: `(B, T, V)`.
        target: `(B, T)` long; -100 at padding, which does not count.
    """
    return (logits.argmax(-1) == target).sum(), (target >= 0).sum()

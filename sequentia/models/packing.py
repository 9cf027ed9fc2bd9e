"""Rows that hold several lines one behind the other: which tokens belong together.

`position` `(B, T)` is the place of each token in its own line, as in `LanguageModel.forward`.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def positions(context: Tensor, position: Tensor | None) -> Tensor:
    """`position`, or, where it is None and each row of `context` one line, that of such rows; `(B, T)` long."""
    if position is not None:
        return position
    return torch.arange(context.shape[1], device=context.device).expand_as(context)


def seen(position: Tensor) -> Tensor:
    """Whether each token may look at each other one: of its own line, and not later; `(B, T, T)` bool."""
    place = torch.arange(position.shape[1], device=position.device)  # (T,), of each token in its row
    start = place - position  # (B, T): where in the row each token's line starts
    same_line = start[:, :, None] == start[:, None, :]
    return same_line & (place[:, None] >= place)


class TimeOrder(NamedTuple):
    """The order of tokens in a `torch.nn.utils.rnn.PackedSequence`: first tokens of all lines, then all second ones.

    Within each time, lines stand by falling length: those that go on are always the first.

    Attributes:
        to: Place of each token, the rows one behind the other, in that order; `(B * T,)` long.
        batch_sizes: Number of lines that have a token at each time, on the CPU as PackedSequence wants it; long.
        lines: Number of lines.
    """

    to: Tensor
    batch_sizes: Tensor
    lines: int


def time_order(position: Tensor) -> TimeOrder:
    """The time order of packed rows.

    Example:
        >>> rows = torch.tensor([[0, 1, 0, 1, 2]])  # lines "ab" and "cde"
        >>> order = time_order(rows)
        >>> "".join("abcde"[i] for i in order.to.argsort())
        'cadbe'
        >>> order.batch_sizes
        tensor([2, 2, 1])
    """
    time = position.flatten()
    line = (time == 0).cumsum(0) - 1  # of each token
    length = line.bincount()
    rank = torch.empty_like(length)
    rank[length.argsort(descending=True, stable=True)] = torch.arange(len(length), device=length.device)
    batch_sizes = time.bincount()
    before = batch_sizes.cumsum(0) - batch_sizes  # tokens of earlier times
    return TimeOrder(before[time] + rank[line], batch_sizes.cpu(), len(length))

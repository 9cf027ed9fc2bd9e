"""Rows that hold several lines: which tokens belong to the same line.

`position` `(B, T)` is the index of each token in its own line, as in `LanguageModel.forward`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sequentia.vocabulary import BOUNDARY


def positions(context: Tensor, position: Tensor | None) -> Tensor:
    """`position`, or 0, 1, 2, ... in each row if it is None and each row of `context` is one line; `(B, T)` long."""
    if position is not None:
        return position
    return torch.arange(context.shape[1], device=context.device).expand_as(context)


def windows(context: Tensor, position: Tensor | None, size: int) -> Tensor:
    """The last `size` tokens at every position, the last one first; `(B, T, size)` long.

    Boundary tokens fill the window before the start of a line.

    Example:
        >>> windows(torch.tensor([[0, 5, 6, 0, 7]]), torch.tensor([[0, 1, 2, 0, 1]]), 2).tolist()
        [[[0, 0], [5, 0], [6, 5], [0, 0], [7, 0]]]
    """
    back = torch.arange(size, device=context.device)  # 0 is the last token
    column = torch.arange(context.shape[1], device=context.device)
    window = context[:, (column[:, None] - back).clamp(min=0)]
    return window.where(positions(context, position)[:, :, None] >= back, BOUNDARY)


def starts(context: Tensor, position: Tensor) -> Tensor:
    """The first token of each token's line: the boundary, or a label; `(B, T)` long."""
    return context.gather(1, torch.arange(context.shape[1], device=context.device) - position)


def label_part(embedding: nn.Embedding, first: Tensor) -> Tensor:
    """The part of an embedding that is the label's: its difference from that of the boundary.

    Args:
        embedding: The embedding of all tokens, `(V + K, C)`.
        first: The first token of each token's line `(...)`.

    Returns:
        `(..., C)`; zero on lines without a label.
    """
    return embedding(first) - embedding.weight[BOUNDARY]


def causal_mask(position: Tensor) -> Tensor:
    """Whether each token may read each other token: only the same line, and no later token; `(B, T, T)` bool."""
    column = torch.arange(position.shape[1], device=position.device)  # (T,)
    start = column - position  # (B, T): column at which each token's line starts
    same_line = start[:, :, None] == start[:, None, :]
    return same_line & (column[:, None] >= column)


class TimeOrder(NamedTuple):
    """The token order of `torch.nn.utils.rnn.PackedSequence`: the first tokens of all lines, then all second ones.

    Within a time step, longer lines come first, so that the lines that continue are always the first ones.

    Attributes:
        slots: Index in that order of each token of the flattened rows; `(B * T,)` long.
        batch_sizes: Number of lines that have a token at each time step; long, on the CPU as PackedSequence requires.
        lines: Number of lines.
    """

    slots: Tensor
    batch_sizes: Tensor
    lines: int


def time_order(position: Tensor) -> TimeOrder:
    """The time order of packed rows.

    Example:
        >>> rows = torch.tensor([[0, 1, 0, 1, 2]])  # lines "ab" and "cde"
        >>> order = time_order(rows)
        >>> "".join("abcde"[i] for i in order.slots.argsort())
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
    before = batch_sizes.cumsum(0) - batch_sizes  # tokens of earlier time steps
    return TimeOrder(before[time] + rank[line], batch_sizes.cpu(), len(length))

"""Lines of a corpus -> batches of context and target, in an order that depends on seed and epoch alone.

The order is a pure function: batch `i` of epoch `e` can be made at any time, in any process, without the batches before
it. That is all that exact resume and distributed training need, and nothing of it has to be saved.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequentia.data.corpus import Corpus
from sequentia.data.split import Lines
from sequentia.vocabulary import BOUNDARY

IGNORE = -100
"""Target of a padded position: PyTorch's `ignore_index`."""

_ROW = 48  # positions a row aims at: long enough to fill well, short enough that attention over it stays cheap


class Batch(NamedTuple):
    """A batch of lines, several of them packed into each row.

    Dimensions: R rows, T positions in a row.

    Attributes:
        context: Token to read at each position, `(R, T)` long; 0 at padding.
        target: Token to predict at each position, `(R, T)` long; -100 at padding.
        position: Place of each token in its own line, `(R, T)` long: 0 starts a line. Padding has 0.
        total: Predicted characters by which a sum of losses is divided for the batch's mean. In distributed training
            it is the mean over all processes, so that the mean of their gradients is the global batch's gradient.
    """

    context: Tensor
    target: Tensor
    position: Tensor
    total: float


def pack(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int]]:
    """Place lines in rows of about equal length: longest first, each round to the emptiest rows.

    Args:
        lengths: Positions that each line takes, shape `(B,)`.

    Returns:
        Row and first column of each line, and the shape `(R, T)` that holds them all.
    """
    order = np.argsort(-lengths, kind="stable")
    total, longest = int(lengths.sum()), int(lengths.max(initial=1))
    # An even number of lines a row balances best: long ones pair with short ones.
    pairs = max(1, round(max(_ROW, 2 * longest) * len(lengths) / (2 * total)))
    rows = max(1, round(len(lengths) / (2 * pairs)))
    capacity = max(longest, math.ceil(total / rows))
    used = np.zeros(rows, np.int64)
    row, column = np.empty_like(lengths), np.empty_like(lengths)
    placed = 0
    while placed < len(order):
        emptiest = np.argsort(used, kind="stable")
        # Lines come in falling length: where the next one fits, all after it fit too.
        fitting = max(1, int(np.searchsorted(used[emptiest], capacity - lengths[order[placed]], side="right")))
        lines = order[placed : placed + fitting]
        to = emptiest[: len(lines)]
        row[lines], column[lines] = to, used[to]
        used[to] += lengths[lines]
        placed += len(lines)
    return row, column, (rows, int(used.max()))


def make_batch(corpus: Corpus, lines: Lines, total: float | None = None) -> Batch:
    """Pack `lines` into a batch; `total` is the number of predicted characters unless given.

    No lines make a batch of one padded position, so that a process without lines still takes part in a step.
    """
    lengths = corpus.predicted(lines)
    size = int(lengths.sum())
    row, column, shape = pack(lengths) if size else (lengths, lengths, (1, 1))
    place = np.arange(size) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # of each token in its line
    source = np.repeat(corpus.offsets[lines].astype(np.int64), lengths) + place
    to = np.repeat(row * shape[1] + column, lengths) + place
    context = np.full(shape, BOUNDARY, np.int64)
    target = np.full(shape, IGNORE, np.int64)
    position = np.zeros(shape, np.int64)
    context.reshape(-1)[to] = corpus.ids[source]
    target.reshape(-1)[to] = corpus.ids[source + 1]
    position.reshape(-1)[to] = place
    return Batch(
        torch.from_numpy(context),
        torch.from_numpy(target),
        torch.from_numpy(position),
        size if total is None else total,
    )


class TrainBatches:
    """The training batches of one process: an iterable over an epoch's batches.

    Each epoch is a fresh permutation of all lines, cut into global batches of `batch_size * world_size` lines; each
    process takes every `world_size`-th line of a global batch. Every line is seen once an epoch; the last batch is as
    small as it comes out.

    Args:
        corpus: Where the lines lie.
        lines: The training lines.
        batch_size: Lines a batch and process.
        seed: Seed of the order.
        rank: This process's number, from 0.
        world_size: Number of processes.
        progress: Returns the epoch to iterate over and the number of its batches already done. It is asked at the
            first batch, so that a resumed run goes on at the place its checkpoint tells.
    """

    def __init__(
        self,
        corpus: Corpus,
        lines: Lines,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        progress: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self.corpus, self.lines = corpus, lines
        self.batch_size, self.seed = batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.progress = progress

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self.lines) / (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[Batch]:
        epoch, done = self.progress()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.lines)
        size = self.batch_size * self.world_size
        for start in range(done * size, len(order), size):
            lines = order[start : start + size]
            total = int(self.corpus.predicted(lines).sum())
            yield make_batch(self.corpus, lines[self.rank :: self.world_size], total / self.world_size)

    def state_dict(self) -> dict[str, Any]:
        """Nothing: `progress` tells the place. With it, Lightning knows that the loader goes on mid-epoch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing: see `state_dict`."""


class EvalBatches:
    """Lines in their own order, each process taking every `world_size`-th: an iterable over batches.

    Args:
        corpus: Where the lines lie.
        lines: The lines to evaluate.
        batch_size: Lines a batch.
        rank: This process's number, from 0.
        world_size: Number of processes.
    """

    def __init__(self, corpus: Corpus, lines: Lines, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.corpus, self.batch_size = corpus, batch_size
        self.lines = lines[rank::world_size]
        # All processes must take part in as many steps; a late one may have no lines.
        self._batches = math.ceil(len(lines) / (batch_size * world_size))

    def __len__(self) -> int:
        """Number of batches."""
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        for i in range(len(self)):
            yield make_batch(self.corpus, self.lines[i * self.batch_size : (i + 1) * self.batch_size])

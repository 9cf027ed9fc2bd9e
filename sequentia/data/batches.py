"""Lines of a corpus -> batches of context and target.

The order of the lines is a pure function of seed and epoch: any process can make batch `i` of epoch `e` without the
batches before it. Exact resume and distributed training need nothing else, and no state has to be saved.

Dimensions:
    B  rows of a batch, each holding several packed lines      T  positions in a row      L  lines
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sequentia.data.corpus import Corpus
from sequentia.data.split import Lines
from sequentia.inference.batch import IGNORE, Batch
from sequentia.vocabulary import BOUNDARY

_ROW = 48  # desired positions per row: long enough to pack tightly, short enough to keep attention cheap


def pack(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[int, int]]:
    """Pack lines into rows of about equal length: longest first, in rounds, each line into one of the emptiest rows.

    Args:
        lengths: Number of positions that each line takes, shape `(L,)`.

    Returns:
        Row and first column of each line, both of shape `(L,)`, and the shape `(B, T)` that holds all lines.
    """
    order = np.argsort(-lengths, kind="stable")
    total, longest = int(lengths.sum()), int(lengths.max(initial=1))
    # An even number of lines per row balances best: long lines pair with short ones.
    pairs = max(1, round(max(_ROW, 2 * longest) * len(lengths) / (2 * total)))
    rows = max(1, round(len(lengths) / (2 * pairs)))
    capacity = max(longest, math.ceil(total / rows))
    used = np.zeros(rows, np.int64)
    row, column = np.empty_like(lengths), np.empty_like(lengths)
    packed = 0
    while packed < len(order):
        emptiest = np.argsort(used, kind="stable")
        # Lines come in descending length: a row that has room for the next line has room for all later ones.
        fitting = max(1, int(np.searchsorted(used[emptiest], capacity - lengths[order[packed]], side="right")))
        lines = order[packed : packed + fitting]
        to = emptiest[: len(lines)]
        row[lines], column[lines] = to, used[to]
        used[to] += lengths[lines]
        packed += len(lines)
    return row, column, (rows, int(used.max()))


def make_batch(corpus: Corpus, lines: Lines, total: float | None = None) -> Batch:
    """Pack lines into a batch.

    Args:
        corpus: The corpus of the lines.
        lines: Indices of the lines, shape `(L,)`. With no lines the batch is one padded position, so that a process
            without lines left still takes part in the step.
        total: `Batch.total`; by default the number of predicted characters of the lines.
    """
    lengths = corpus.num_targets(lines)  # (L,)
    size = int(lengths.sum())
    row, column, shape = pack(lengths) if size else (lengths, lengths, (1, 1))
    index = np.arange(size) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # of each token in its line, (size,)
    source = np.repeat(corpus.offsets[lines].astype(np.int64), lengths) + index
    to = np.repeat(row * shape[1] + column, lengths) + index
    context = np.full(shape, BOUNDARY, np.int64)  # (B, T)
    target = np.full(shape, IGNORE, np.int64)
    position = np.zeros(shape, np.int64)
    context.reshape(-1)[to] = corpus.ids[source]
    target.reshape(-1)[to] = corpus.ids[source + 1]
    if corpus.vocabulary.labels:
        target[target >= len(corpus.vocabulary)] = BOUNDARY  # the label of the next line ends the line
    position.reshape(-1)[to] = index
    return Batch(
        torch.from_numpy(context),
        torch.from_numpy(target),
        torch.from_numpy(position),
        size if total is None else total,
    )


class TrainBatches:
    """The training batches of one process: an iterable over the batches of an epoch.

    Each epoch is a new permutation of all lines, cut into global batches of `batch_size * world_size` lines; each
    process takes every `world_size`-th line of a global batch. The last batch of an epoch may be smaller.

    Args:
        corpus: The corpus of the lines.
        lines: Indices of the training lines, shape `(L,)`.
        batch_size: Lines per batch and process.
        seed: Seed of the order.
        rank: Index of this process.
        world_size: Number of processes.
        progress: Returns the current epoch and the number of its batches already done. It is called when iteration
            starts, so that a resumed run starts at the position recorded in its checkpoint.
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
        """Number of batches per epoch."""
        return math.ceil(len(self.lines) / (self.batch_size * self.world_size))

    def __iter__(self) -> Iterator[Batch]:
        epoch, done = self.progress()
        order = np.random.default_rng([self.seed, epoch]).permutation(self.lines)
        size = self.batch_size * self.world_size
        for start in range(done * size, len(order), size):
            lines = order[start : start + size]
            total = int(self.corpus.num_targets(lines).sum())
            yield make_batch(self.corpus, lines[self.rank :: self.world_size], total / self.world_size)

    def state_dict(self) -> dict[str, Any]:
        """Empty: `progress` returns the position. Lightning considers a loader with this method resumable mid-epoch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Do nothing; see `state_dict`."""


class EvalBatches:
    """The evaluation batches of one process, in the order of the lines: an iterable over batches.

    Args:
        corpus: The corpus of the lines.
        lines: Indices of the lines of all processes, shape `(L,)`; each process takes every `world_size`-th.
        batch_size: Lines per batch and process.
        rank: Index of this process.
        world_size: Number of processes.
    """

    def __init__(self, corpus: Corpus, lines: Lines, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.corpus, self.batch_size = corpus, batch_size
        self.lines = lines[rank::world_size]
        # All processes must take part in the same number of steps; the last batch of a process may have no lines.
        self._num_batches = math.ceil(len(lines) / (batch_size * world_size))

    def __len__(self) -> int:
        """Number of batches."""
        return self._num_batches

    def __iter__(self) -> Iterator[Batch]:
        for i in range(len(self)):
            yield make_batch(self.corpus, self.lines[i * self.batch_size : (i + 1) * self.batch_size])

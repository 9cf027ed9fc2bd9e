"""Corpus -> training, validation and test lines."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sequentia.data.corpus import Corpus
from sequentia.data.hashing import uniform
from sequentia.vocabulary import smallest_unsigned

Lines = NDArray[np.integer]
"""Indices of lines of a corpus, ascending."""


@dataclass(frozen=True)
class Split:
    """Which lines of a corpus are for what; every line stands on one side."""

    train: Lines
    val: Lines
    test: Lines


def split_by_hash(corpus: Corpus, seed: int, val_fraction: float, test_fraction: float) -> Split:
    """Give each line a side that depends on the seed and the line alone.

    Equal lines go to one side, and lines added to the file move no old line. The sizes of the sides are therefore the
    fractions only on average.
    """
    u = uniform(corpus.hashes, seed)
    test = u < test_fraction
    val = ~test & (u < test_fraction + val_fraction)
    return Split(_where(~test & ~val), _where(val), _where(test))


def split_by_file(corpus: Corpus, val: bool, test: bool) -> Split:
    """Ready-made sides: the corpus's files are training, then validation if `val`, then test if `test`."""
    bounds = np.cumsum((0, *corpus.files))
    sides = iter([np.arange(a, b) for a, b in pairwise(bounds)])
    none = np.zeros(0, np.int64)
    return Split(next(sides), next(sides) if val else none, next(sides) if test else none)


def distinct(corpus: Corpus, lines: Lines) -> Lines:
    """`lines` without those that equal an earlier one of them."""
    _, first = np.unique(corpus.hashes[lines], return_index=True)
    return lines[np.sort(first)]


def _where(side: NDArray[np.bool_]) -> Lines:
    return np.flatnonzero(side).astype(smallest_unsigned(len(side)))

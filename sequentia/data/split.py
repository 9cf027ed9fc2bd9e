"""Corpus -> training, validation and test lines."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequentia.data.corpus import Corpus
from sequentia.data.hashing import uniform
from sequentia.vocabulary import smallest_unsigned

SPLIT_OPTIONS = ("val_path", "test_path", "seed", "val_fraction", "test_fraction", "deduplicate")
"""Options of the data that decide which of its lines are held out."""

Lines = NDArray[np.integer]
"""Indices of lines of a corpus, ascending, shape `(L,)`."""


@dataclass(frozen=True)
class Split:
    """The lines of a corpus for training, validation and test; no index is in two of them."""

    train: Lines
    val: Lines
    test: Lines


def split_by_hash(corpus: Corpus, seed: int, val_fraction: float, test_fraction: float) -> Split:
    """Assign each line to a split that depends only on the line and the seed.

    Equal lines are in the same split, and adding lines to the file moves no other line. In return, the sizes of the
    splits match the fractions only on average. The windows of a long line are in the split of the whole line: text that
    continues a training line is not held out. In return, equal windows of different lines can be in two splits.
    """
    u = uniform(corpus.whole_hashes, seed)
    test = u < test_fraction
    val = ~test & (u < test_fraction + val_fraction)
    return Split(_indices(~test & ~val), _indices(val), _indices(test))


def split_by_file(corpus: Corpus, train: int, val: int) -> Split:
    """Use ready-made splits, each in its own files.

    Args:
        corpus: Its first files are the training lines, the next are the validation lines, the rest are the test lines.
        train: Number of files of training lines.
        val: Number of files of validation lines.
    """
    lines = corpus.lines_per_file
    bounds = [sum(lines[:train]), sum(lines[: train + val])]
    return Split(*np.split(np.arange(len(corpus)), bounds))


def drop_duplicates(corpus: Corpus, lines: Lines) -> Lines:
    """Keep the first of equal lines with the same label."""
    _, first = np.unique(corpus.example_hashes[lines], return_index=True)
    return lines[np.sort(first)]


def _indices(mask: NDArray[np.bool_]) -> Lines:
    return np.flatnonzero(mask).astype(smallest_unsigned(len(mask)))

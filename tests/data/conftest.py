"""Helpers for the tests of the data."""

from collections.abc import Iterable

import numpy as np

from sequentia.data.corpus import Corpus
from sequentia.data.formats.table import Block


def same(a: Corpus, b: Corpus) -> bool:
    """Whether two corpora are equal in every field."""
    scalars = ("vocabulary", "lines_per_file", "num_blank", "num_long", "max_length")
    arrays = ("ids", "offsets", "hashes", "whole_hashes")
    return all(getattr(a, name) == getattr(b, name) for name in scalars) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) and getattr(a, name).dtype == getattr(b, name).dtype
        for name in arrays
    )


def lines_in(blocks: Iterable[Block]) -> list[str]:
    """The lines of all blocks of a file."""
    return [line for block in blocks for line in block.lines]

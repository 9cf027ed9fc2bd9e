"""Helpers for the tests of the data."""

import numpy as np

from sequentia.data.corpus import Corpus


def same(a: Corpus, b: Corpus) -> bool:
    """Whether two corpora are equal in every field."""
    scalars = ("vocabulary", "lines_per_file", "num_blank", "num_long", "max_length")
    arrays = ("ids", "offsets", "hashes", "whole_hashes")
    return all(getattr(a, name) == getattr(b, name) for name in scalars) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) and getattr(a, name).dtype == getattr(b, name).dtype
        for name in arrays
    )

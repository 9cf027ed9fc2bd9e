"""A 64-bit hash of each line, vectorized.

The split, the count of distinct lines, and the check whether a sample is a training line are based on it. It depends
only on the characters of the line: not on the vocabulary, the file, or where in the file the line is.
"""

import numpy as np
from numpy.typing import NDArray

from sequentia.vocabulary import code_points

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the finalizer of SplitMix64, a bijection in which every input bit affects every output bit.

    Steele, Lea & Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hash_lines(codes: NDArray[np.unsignedinteger], lengths: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Hash each line: mix each character with its index in the line, and mix the sum once more.

    Args:
        codes: Code points of all lines, concatenated, shape `(N,)`.
        lengths: Number of characters of each line, at least 1, shape `(L,)`; their sum is N.

    Returns:
        Shape `(L,)`.
    """
    if len(lengths) == 0:
        return np.zeros(0, np.uint64)
    starts = np.cumsum(lengths) - lengths
    index = np.arange(len(codes), dtype=np.uint64) - np.repeat(starts.astype(np.uint64), lengths)
    # A code point takes 21 bits, so index and character do not overlap.
    return mix(np.add.reduceat(mix((index << np.uint64(21) | codes) * _GOLDEN + _GOLDEN), starts))


def hash_texts(texts: list[str]) -> NDArray[np.uint64]:
    """Hash of each text, shape `(len(texts),)`. No text may be empty.

    Raises:
        UserError: A text contains a lone surrogate.
    """
    return hash_lines(code_points("".join(texts)), np.array([len(text) for text in texts], np.int64))


def distinct(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The distinct hashes in ascending order; `np.unique` builds a table, which takes 60 times as long."""
    ordered = np.sort(hashes)
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]


def contains(ordered: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of `hashes` `(N,)` is among those in ascending order `(M,)`, in O(N log M)."""
    order = np.argsort(hashes)  # look-ups in ascending order are close in memory: five times as fast in ten million
    ascending = hashes[order]
    found = np.empty(len(hashes), bool)
    found[order] = ordered.searchsorted(ascending, "right") > ordered.searchsorted(ascending)
    return found


def uniform(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """A pseudorandom number in [0, 1) per line, which depends only on the line and the seed.

    Args:
        hashes: Hashes of the lines, shape `(L,)`.
        seed: Different seeds give independent numbers.

    Returns:
        Shape `(L,)`.
    """
    salt = mix(np.array([seed % 2**64], np.uint64) * _GOLDEN + _GOLDEN)
    # A double holds 53 bits: with more, the largest hashes would round up to 1.
    return (mix(hashes ^ salt) >> np.uint64(11)) * np.float64(2.0**-53)

"""A 64-bit hash of each line, by array operations.

The split, the count of distinct lines and the question "is this sample in the training lines?" all rest on it. It
depends on the characters of the line alone: not on the vocabulary, the file or the line's place in it.
"""

import numpy as np
from numpy.typing import NDArray

from sequentia.vocabulary import code_points

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): a bijection that spreads every bit over all others."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def hash_lines(codes: NDArray[np.unsignedinteger], lengths: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Hash each line: the sum over its characters of a mix of character and place, mixed once more.

    Args:
        codes: Code points of all lines, one after the other, shape `(N,)`.
        lengths: Number of characters of each line, each at least 1, shape `(L,)`, summing to N.

    Returns:
        Shape `(L,)`.
    """
    if len(lengths) == 0:
        return np.zeros(0, np.uint64)
    starts = np.cumsum(lengths) - lengths
    place = np.arange(len(codes), dtype=np.uint64) - np.repeat(starts.astype(np.uint64), lengths)
    # A code point takes 21 bits: place and character never overlap.
    terms = mix((place << np.uint64(21) | codes) * _GOLDEN + _GOLDEN)
    return mix(np.add.reduceat(terms, starts))


def hash_texts(texts: list[str]) -> NDArray[np.uint64]:
    """Hash of each of `texts` (none empty), shape `(len(texts),)`."""
    return hash_lines(code_points("".join(texts)), np.array([len(text) for text in texts], np.int64))


def uniform(hashes: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each line, which depends on the seed and the line alone; shape of `hashes`."""
    salt = mix(np.array([seed % 2**64], np.uint64) * _GOLDEN + _GOLDEN)
    # 53 bits are what a double holds: more would round up to 1.
    return (mix(hashes ^ salt) >> np.uint64(11)) * np.float64(2.0**-53)

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
    return mix(np.add.reduceat(_terms(index, codes), starts))


def _terms(index: NDArray[np.uint64], codes: NDArray[np.unsignedinteger]) -> NDArray[np.uint64]:
    """What each character adds to the hash of its line; `index` is that of the character in the line."""
    # A code point takes 21 bits, so index and character do not overlap.
    return mix((index << np.uint64(21) | codes) * _GOLDEN + _GOLDEN)


def hash_texts(texts: list[str]) -> NDArray[np.uint64]:
    """Hash of each text, shape `(len(texts),)`. No text may be empty.

    Raises:
        UserError: A text contains a lone surrogate.
    """
    return hash_lines(code_points("".join(texts)), np.array([len(text) for text in texts], np.int64))


def one_edit_hashes(
    codes: NDArray[np.unsignedinteger], lengths: NDArray[np.integer], alphabet: NDArray[np.unsignedinteger]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hashes of all lines within one edit of the given ones: one character deleted, replaced or inserted.

    The hash of a line is the mixed sum of one term per character, so that the hash of each variant takes constant time:
    prefix sums give the terms before the edit, and the terms after it with indices shifted by one.

    Args:
        codes: Code points of all lines, concatenated, shape `(N,)`.
        lengths: Number of characters of each line, which may be 0; shape `(L,)`, their sum is N.
        alphabet: Code points to insert and to replace with, shape `(A,)`.

    Returns:
        Hashes, and the index of the line that each is a variant of, both of shape `(N + N * A + (N + L) * A,)`. A line
        with only characters of the alphabet is a variant of itself.
    """
    lines = np.arange(len(lengths))
    line = np.repeat(lines, lengths)  # of each character, (N,)
    start = np.cumsum(lengths) - lengths  # (L,)
    end = start + lengths
    index = (np.arange(len(codes)) - start[line]).astype(np.uint64)
    own = _terms(index, codes)
    before = _cumulated(own)  # sums modulo 2^64, whose differences are exact
    shifted_left = _cumulated(_terms(index - np.uint64(1), codes))  # index 0 wraps around; no sum includes it
    shifted_right = _cumulated(_terms(index + np.uint64(1), codes))
    at = np.arange(len(codes))  # position of each edit; insertions are before it, or at the end of the line
    deleted = before[at] - before[start[line]] + shifted_left[end[line]] - shifted_left[at + 1]
    others = before[end[line]] - before[start[line]] - own  # without one character
    gap_line = np.repeat(lines, lengths + 1)  # of each position of an insertion, (N + L,)
    gap = np.arange(len(codes) + len(lengths)) - gap_line
    opened = before[gap] - before[start[gap_line]] + shifted_right[end[gap_line]] - shifted_right[gap]
    gap_index = (gap - start[gap_line]).astype(np.uint64)
    sums = [
        deleted,
        (others[:, None] + _terms(index[:, None], alphabet)).reshape(-1),
        (opened[:, None] + _terms(gap_index[:, None], alphabet)).reshape(-1),
    ]
    of = [line, np.repeat(line, len(alphabet)), np.repeat(gap_line, len(alphabet))]
    return mix(np.concatenate(sums)), np.concatenate(of)


def _cumulated(terms: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sum of the first `i` terms, for `i` from 0 to N."""
    return np.concatenate((np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)))


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

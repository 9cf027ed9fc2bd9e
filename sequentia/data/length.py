"""How long a line may be, what becomes of longer ones, and what to do with a text that is not broken into lines."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequentia.text import shorten

LongLines = Literal["drop", "split"]
"""What becomes of lines that are longer than the maximum."""

FEW = 0.02
"""Fraction of the lines that are left out for their length without a warning."""

_MAX_LENGTHS = (256, 512, 1024)


def default_max_length(lengths: NDArray[np.int64]) -> int:
    """The default maximum number of characters per line.

    The smallest of 256, 512 and 1024 that keeps nearly as many lines as 1024 does: a few outliers cannot set the
    context length, and neither can a single one.

    Args:
        lengths: Number of characters of a sample of lines, shape `(N,)`.
    """
    kept = [int((lengths <= limit).sum()) for limit in _MAX_LENGTHS]
    enough = max(1, kept[-1] - max(1, FEW * len(lengths)))
    return next((limit for limit, count in zip(_MAX_LENGTHS, kept, strict=True) if count >= enough), _MAX_LENGTHS[0])


def windows(line: str, size: int) -> list[str]:
    """Cut a line into pieces of about equal length, between words where possible.

    Args:
        line: A line that does not begin or end with whitespace.
        size: Maximum number of characters per piece.

    Example:
        >>> windows("call me ishmael", 10)
        ['call me', 'ishmael']
        >>> windows("MKVLAAGIV", 4)
        ['MKV', 'LAA', 'GIV']
    """
    size = -(-len(line) // -(-len(line) // size))
    pieces, start = [], 0
    while len(line) - start > size:
        end = line.rfind(" ", start, start + size + 1)
        end = end if end > start else start + size
        pieces.append(line[start:end].strip())
        start = end + line[end].isspace()
    return [piece for piece in (*pieces, line[start:].strip()) if piece]


def too_few_lines(path: str, text: str, max_length: int) -> str:
    """Why a file has too few lines, and what to do.

    Args:
        path: The file.
        text: Its first line that is longer than `max_length`, or its only line.
        max_length: Maximum number of characters per line.
    """
    if len(text) <= max_length:
        return f"{path} has only one line, {text!r}: give at least two lines"
    return (
        f"{path} has too few lines of at most max_length {max_length:,} characters; one has {len(text):,}, "
        f"{shorten(text, 40)!r}: put one example (a sentence, a word) on each line, or cut long lines with long_lines "
        "split, and val_fraction 0 and test_fraction 0 if there is only one"
    )

"""How long a line may be, what becomes of longer ones, and what to do with a text that is not broken into lines."""

import os
import shlex
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequentia.text import shorten

LongLines = Literal["drop", "split"]
"""What becomes of lines that are longer than the maximum."""

FEW = 0.02
"""Fraction of the lines that are left out for their length without a warning."""

_MAX_LENGTHS = (256, 512, 1024)
_SEPARATORS = {". ": ".", ";": ";", ",": ",", "|": "|", "\t": "\\t", " ": " "}  # in a text -> as an argument of `tr`


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


def too_few_lines(path: str, line: str, long: str, num_long: int, max_length: int) -> str:
    """Why a file has too few lines, and what to do.

    Args:
        path: The file.
        line: Its only line of at most `max_length` characters; empty if it has none.
        long: Its first line of more; empty if it has none.
        num_long: Number of lines of more.
        max_length: Maximum number of characters per line.
    """
    text = long or line
    begins = f"{len(text):,} characters, {shorten(text, 40)!r}"
    broken = _how_to_break(path, text, max_length)
    if bool(line) + num_long == 1:
        cut = "cut it with long_lines split, and hold out none with val_fraction 0 and test_fraction 0"
        return f"{path} has only one line, of {begins}: {broken or (cut if long else 'give at least two lines')}"
    shorter = "one shorter line" if line else "no shorter line"
    return (
        f"{path} has {num_long:,} lines of more than {max_length:,} characters, and {shorter}; "
        f"the first has {begins}: cut them with long_lines split{f', or {broken}' if broken else ''}"
    )


def _how_to_break(path: str, text: str, max_length: int) -> str:
    """The command that puts each sentence, item or word of a text on a line of its own; empty if there is none."""
    # Otherwise the text is a cell, a record, or decompressed or decoded.
    if not os.path.isfile(path) or Path(path).read_bytes().strip() != text.encode():
        return ""
    for separator, argument in _SEPARATORS.items():
        if (count := text.count(separator)) and len(text) <= max_length * (count + 1):
            return f"put one example on each line, with tr '{argument}' '\\n' < {shlex.quote(path)} > lines.txt"
    return ""

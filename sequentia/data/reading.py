"""A file -> its lines: how the files of the data are read, in one place for training and scoring."""

from collections.abc import Iterator
from dataclasses import dataclass

from sequentia.data.source import line_blocks, open_data
from sequentia.data.tables import cell_blocks


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        column: The column of the examples, if the files are tables.
    """

    column: str | None = None


LINES = Reading()
"""The default: text with one example per line."""


def blocks(path: str, reading: Reading) -> Iterator[list[str]]:
    """Read the lines of a file, or the cells of its column, in blocks that bound the memory.

    Args:
        path: A packaged dataset's name, a file, or a URL that fsspec can open, decompressed according to its extension.
        reading: How it is read.

    Raises:
        UserError: The file cannot be read, is not UTF-8 text or a valid table.
    """
    with open_data(path) as file:
        yield from line_blocks(file, path) if reading.column is None else cell_blocks(file, path, reading.column)

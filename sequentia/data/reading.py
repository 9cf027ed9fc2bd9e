"""A file -> its lines: how the files of the data are read, in one place for training and scoring."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, get_args

from lightning.pytorch.utilities import rank_zero_only

from sequentia.data.decoding import check_encoding, line_blocks
from sequentia.data.layout import NUMBER_OF_ROWS, Format, decoded, is_evident, layout_of
from sequentia.data.source import open_data, shown
from sequentia.data.tables import (
    Refuse,
    cell_blocks,
    choose_column,
    delimited_cells,
    is_parquet,
    json_cells,
    json_lines,
    json_rows,
    parquet_cells,
)
from sequentia.errors import UserError
from sequentia.text import shorten

log = logging.getLogger(__name__)
_info, _warn = rank_zero_only(log.info), rank_zero_only(log.warning)


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        column: The column of the examples, if the files are tables.
        format: The format of the files; by default each file's follows from its content.
        encoding: One of Python's text encodings; a byte order mark overrides it.
        skip_invalid: Whether to leave out invalid lines and rows, and log how many.

    Raises:
        UserError: There is no such format or text encoding.
    """

    column: str | None = None
    format: Format | None = None
    encoding: str = "utf-8"
    skip_invalid: bool = False

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        if self.format not in (None, *get_args(Format)):
            raise UserError(f"format must be one of {', '.join(get_args(Format))}, got {self.format!r}")


LINES = Reading()
"""The default: text with one example per line, or records or a table that need no options."""


def blocks(path: str, reading: Reading) -> Iterator[list[str]]:
    """Read the lines of a file, or the cells of its column, in blocks that bound the memory.

    Args:
        path: A packaged dataset's name, a file, a URL that fsspec can open, or `-` for stdin, decompressed according to
            its content.
        reading: How it is read.

    Raises:
        UserError: The file cannot be read, or is not text or a valid table.
    """
    name = shown(path)
    invalid: list[str] = []

    def refuse(message: str) -> None:
        if not reading.skip_invalid:
            raise UserError(message)
        invalid.append(message.partition(": ")[0])

    with open_data(path) as file:
        if is_parquet(file):
            yield from cell_blocks(parquet_cells(file, name, reading.column, refuse))
        else:
            lines = line_blocks(file, name, reading.encoding, reading.skip_invalid)
            yield from _examples(lines, name, reading, refuse)
    if invalid:
        _warn(f"{name}: rows dropped: {len(invalid):,} invalid; the first: {invalid[0]}")


def texts(path: str, reading: Reading = LINES) -> Iterator[str]:
    """The lines of a file that are not blank, without surrounding whitespace: see `blocks`.

    Raises:
        UserError: See `blocks`.
    """
    return filter(None, map(str.strip, chain.from_iterable(blocks(path, reading))))


def _examples(lines: Iterator[list[str]], path: str, reading: Reading, refuse: Refuse) -> Iterator[list[str]]:
    """The examples of a text file, whatever its layout."""
    head: list[str] = []
    while len(head) < NUMBER_OF_ROWS and (block := next(lines, None)) is not None:
        head = [*head, *block] if head else block
    lines = chain([head], lines)
    rows = chain.from_iterable(lines)
    layout, column = layout_of(head, path, reading.column, reading.format), reading.column
    if layout.format in ("lines", "fasta") and column is not None:
        raise UserError(f"{path} is read as {layout.format}, which has no columns: omit column, or give another format")
    match layout.format:
        case "fasta":
            return cell_blocks(_fasta_sequences(rows, path))
        case "json":
            values = json_rows(rows, path)
            column = column or _only_column(next((row for row in values if row is not None), None), path)
            return cell_blocks(json_cells(values, path, column, "item", refuse))
        case "jsonl":
            column = column or _only_column(decoded(next(filter(str.strip, head))), path)
            return cell_blocks(json_cells(json_lines(rows, path, refuse), path, column, "line", refuse))
        case "csv" if column is not None:
            return cell_blocks(delimited_cells(rows, layout, path, column, refuse))
        case "csv" if reading.format is not None and layout.num_columns > 1:
            raise UserError(choose_column(path, layout.rows[0]))
        case "csv" if is_evident(layout, head, path):
            columns = shorten(", ".join(layout.rows[0]), 100)
            _warn(
                f"{path}: read as raw lines; if the examples are one column of a table ({columns}), give its name or "
                "number as column"
            )
    return lines


def _only_column(row: Any, path: str) -> str:
    """The column of JSON that need not be given."""
    names = list(row) if isinstance(row, dict) else ["1"]
    if len(names) != 1:
        raise UserError(choose_column(path, names))
    _info(f"{path}: read as JSON, column {names[0]}")
    return names[0]


def _fasta_sequences(lines: Iterator[str], path: str) -> Iterator[str]:
    """The sequence of each record: its lines are joined, and whitespace and a final `*` are removed."""
    parts: list[str] | None = None  # None before the first header
    count = 0
    for line in chain(lines, [">"]):  # another header ends the last record
        if line.startswith(">"):
            if parts is not None:
                yield "".join(parts).removesuffix("*")
                count += 1
            parts = []
        elif parts is not None and not line.startswith(";"):
            parts += line.split()
    _info(f"{path}: read as FASTA: {count:,} records")

"""Tables (text with a delimiter, JSON and Parquet) -> the cells of one column."""

import csv
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from lightning.pytorch.utilities import rank_zero_only

from sequentia.data.layout import DELIMITERS, WHITESPACE, Layout, csv_reader, decoder, has_column, has_header
from sequentia.data.source import reason
from sequentia.errors import UserError
from sequentia.text import shorten, similar

_BLOCK = 1 << 20  # characters of the cells that are held at a time
_LINE_BREAK = re.compile("\r\n|\r|\n")
_PARQUET = b"PAR1"

log = logging.getLogger(__name__)

Refuse = Callable[[str], None]
"""Takes the message about an invalid row: raises it as an error, or counts the row, which is then left out."""


def cell_blocks(cells: Iterable[str]) -> Iterator[list[str]]:
    """Cells as lines, in blocks that bound the memory: a line break in a cell becomes a space."""
    block: list[str] = []
    size = 0
    for cell in cells:
        block.append(_LINE_BREAK.sub(" ", cell.strip()))
        size += len(cell) + 1
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    yield block


def delimited_cells(lines: Iterator[str], layout: Layout, name: str, column: str, refuse: Refuse) -> Iterator[str]:
    """The cells of one column of a text with a delimiter; a blank line is a row whose cells are empty.

    A column that is given as a number may or may not have a header; which of both is found in the first rows, and
    logged.

    Args:
        lines: The lines of the file.
        layout: Their layout.
        name: The name of the file, for messages.
        column: Name or number of a column; see `_index`.
        refuse: Called with the message about a row that has too few or too many cells.

    Raises:
        UserError: The file is not valid CSV, or does not have the column.
    """
    width = index = 0
    for line, row in _delimited_rows(lines, layout, name, refuse):
        if not row:
            yield ""
        elif width == 0:
            width = layout.num_columns if layout.delimiter == WHITESPACE else len(row)
            names = [cell.strip() for cell in row] + [""] * (width - len(row))
            index, by_name = _index(names, name, column)
            if not by_name and not _takes_header(layout, index, names[index], name):
                yield names[index]
        elif len(row) == width or (len(row) > width and not any(row[width:])):
            yield row[index]
        elif layout.delimiter == WHITESPACE:  # names are optional
            yield row[index] if index < len(row) else ""
        else:
            refuse(
                f"line {line:,} of {name} has {len(row):,} columns, and the first has {width:,}: put a cell that "
                f'contains {DELIMITERS[layout.delimiter]} in double quotes ("..."), or leave out such lines with '
                "skip_invalid"
            )


def _takes_header(layout: Layout, index: int, cell: str, name: str) -> bool:
    """Whether the first row is a header, although the column is given as a number; logs which it is."""
    header = has_header(layout.rows)
    separated = f", separated by {DELIMITERS[layout.delimiter]}" if layout.num_columns > 1 else ""
    role = "a header; if it is an example, put a header above it and" if header else "an example; if it is a header,"
    rank_zero_only(log.info)(
        f"column {index + 1} of {name}{separated}: the first row, {shorten(cell, 40)!r}, is taken as {role} give the "
        "name of the column"
    )
    return header


def _delimited_rows(lines: Iterator[str], layout: Layout, name: str, refuse: Refuse) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its first line; a blank line is an empty row."""
    if layout.delimiter == WHITESPACE:  # only a name, the second cell, can contain whitespace
        yield from ((number, line.split(None, 1)) for number, line in enumerate(lines, start=1))
        return
    reader = csv_reader(lines, layout.delimiter)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = (
                f"line {line:,} of {name} is not valid CSV ({error}): a cell that contains a double quote must be in "
                'double quotes, with each quote in it doubled ("")'
            )
            if "expected after" not in str(error):  # a quote that is not closed takes in lines without end
                raise UserError(message) from error
            refuse(f"{message}, or leave out such lines with skip_invalid")
        else:
            yield line, row
        line = 1 + reader.line_num


def _index(names: list[str], name: str, column: str) -> tuple[int, bool]:
    """Index of a column, given the names of all columns, and whether the column is given by name.

    Args:
        names: The cells of the first row, or the keys of an object.
        name: The name of the file, for messages.
        column: A name, or a number from 1. A name may differ in case if there is only one such column.

    Raises:
        UserError: There is no such column, or more than one.
    """
    column = column.strip()
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return int(column) - 1, False
    found = [index for index, each in enumerate(names) if each == column]
    found = found or [index for index, each in enumerate(names) if each.casefold() == column.casefold()]
    if len(found) == 1:
        return found[0], True
    if found:
        raise UserError(
            f"{name} has {len(found):,} columns with the name {shorten(column, 40)!r}: give the number of one"
        )
    close = similar(column, names)
    meant = f"did you mean {close[0]!r}? It has" if close else "it has"
    raise UserError(
        f"{name} has no column {shorten(column, 40)!r}: {meant} {shorten(', '.join(names), 100)}; "
        "a number, from 1, names a column too"
    )


def json_rows(lines: Iterable[str], name: str) -> list[Any]:
    """The rows of a file with one JSON value: the elements of an array, or an object as the only row.

    Raises:
        UserError: The file is not valid JSON.
    """
    try:
        value = decoder.decode("\n".join(lines))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(
            f"{name} is not valid JSON ({reason(error)}): correct it, or read its lines as they are with format lines"
        ) from error
    return value if isinstance(value, list) else [value]


def json_lines(lines: Iterator[str], name: str, refuse: Refuse) -> Iterator[Any]:
    """The values of a file with one JSON value per line; None for a blank line.

    Args:
        lines: The lines of the file.
        name: The name of the file, for messages.
        refuse: Called with the message about a line that is not valid JSON.
    """
    for number, line in enumerate(lines, start=1):
        try:
            yield decoder.decode(line) if line.strip() else None
        except (json.JSONDecodeError, RecursionError) as error:
            refuse(
                f"line {number:,} of {name} is not valid JSON ({reason(error)}): correct it, or leave out such lines "
                "with skip_invalid"
            )


def json_cells(rows: Iterable[Any], name: str, column: str, unit: str, refuse: Refuse) -> Iterator[str]:
    """The cells of one column of JSON objects; any other value is the only column of its row.

    Args:
        rows: The values.
        name: The name of the file, for messages.
        column: Name or number of a column; see `_index`.
        unit: What a row is called in messages.
        refuse: Called with the message about a value that is not text or a number.

    Raises:
        UserError: No object has the column.
    """
    key, names = None, list[str]()
    for number, row in enumerate(rows, start=1):
        cells = {} if row is None else row if isinstance(row, dict) else {"1": row}
        names = names or list(cells)
        if key is None and has_column(list(cells), column):  # the first objects can lack it
            key = list(cells)[_index(list(cells), name, column)[0]]
        cell = cells.get(key)
        if cell is None or (isinstance(cell, str | int | float) and not isinstance(cell, bool)):
            yield "" if cell is None else str(cell)
        else:
            refuse(
                f"{unit} {number:,} of {name} has a value of type {type(cell).__name__} in column "
                f"{shorten(column, 40)!r}, which is not a string or a number: choose another column or format, or "
                "leave out such rows with skip_invalid"
            )
    if names and key is None:
        _index(names, name, column)  # raises the error


def is_parquet(file: IO[bytes]) -> bool:
    """Whether an open file is Parquet; its position is at the start afterwards."""
    magic = file.read(len(_PARQUET))
    file.seek(0)
    return magic == _PARQUET


def parquet_cells(file: IO[bytes], name: str, column: str | None, refuse: Refuse) -> Iterator[str]:
    """The cells of one column of a Parquet file; of the only one by default.

    Raises:
        UserError: The file is damaged, has no such column, or more than one if none is given; or pyarrow is missing.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"{name} cannot be read without pyarrow: pip install pyarrow") from error
    try:
        table = ParquetFile(file)
        names = table.schema_arrow.names
        if column is None and len(names) > 1:
            raise UserError(choose_column(name, names))
        key = names[_index(names, name, column or "1")[0]]
        rows = ({key: cell} for batch in table.iter_batches(columns=[key]) for cell in batch.column(0).to_pylist())
        yield from json_cells(rows, name, key, "row", refuse)
    except (ArrowException, OSError) as error:
        raise UserError(f"cannot read {name}: {reason(error)}") from error


def choose_column(name: str, names: list[str]) -> str:
    """The message about a table whose column is not given."""
    return (
        f"{name} is a table with the columns {shorten(', '.join(names), 100)}: give the name or number of one as column"
    )

"""Tables (CSV, TSV, JSON, JSON lines and Parquet) -> the cells of one column."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import IO, Any

from fsspec.utils import infer_compression

from sequentia.data.source import read_lines, reason
from sequentia.errors import UserError
from sequentia.text import shorten

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
"""Suffixes of tables."""

_BLOCK = 1 << 20  # characters of the cells that are held at a time
_LINE_BREAK = re.compile("\r\n|\r|\n")
# A number becomes its text in the file, and NaN, which many programs write for a missing one, null.
_decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)


def table_format(path: str) -> str | None:
    """The format of a table according to its suffix, which another suffix for the compression may follow.

    Example:
        >>> table_format("names.csv.gz"), table_format("https://a.org/names.jsonl?raw=1"), table_format("names.txt")
        ('csv', 'jsonl', None)
    """
    for part in path.split("::"):  # fsspec chains URLs: "simplecache::https://..."
        name = PurePath(part.partition("?")[0] if "://" in part else part)
        if infer_compression(str(name)) is not None:
            name = name.with_suffix("")
        if (suffix := name.suffix.lower().removeprefix(".")) in FORMATS:
            return suffix
    return None


def cell_blocks(file: IO[bytes], name: str, column: str) -> Iterator[list[str]]:
    """Read the cells of one column of a table, in blocks that bound the memory.

    Whitespace around a cell is removed, and a line break in it becomes a space. A cell that is missing or null is
    empty. A blank line of a table is a row whose cells are empty.

    Args:
        file: The open file, decompressed.
        name: Its path, which gives the format, and names the file in error messages.
        column: A name in the header line or a key of JSON objects, or the number of a column, from 1, of a table
            without header.

    Raises:
        UserError: The file is not a valid table, or does not have the column.
    """
    block: list[str] = []
    size = 0
    for cell in _cells(file, name, column):
        block.append(_LINE_BREAK.sub(" ", cell.strip()))
        size += len(cell) + 1
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    yield block


def _cells(file: IO[bytes], name: str, column: str) -> Iterator[str]:
    match table_format(name):
        case "csv":
            return _csv_cells(file, name, column, ",")
        case "tsv":
            return _csv_cells(file, name, column, "\t")
        case "json":
            return _json_cells(_json_array(file, name), name, column, "item")
        case "jsonl":
            return _json_cells(_json_lines(file, name), name, column, "line")
        case "parquet":
            return _parquet_cells(file, name, column)
        case _:
            suffixes = ", ".join(f".{suffix}" for suffix in FORMATS)
            raise UserError(f"column is for tables ({suffixes}), and {name} is not a table: omit column")


def _csv_cells(file: IO[bytes], name: str, column: str, delimiter: str) -> Iterator[str]:
    width = index = 0
    for line, row in _csv_rows(file, name, delimiter):
        if not row:
            yield ""
        elif width == 0:
            width, index = len(row), _index([cell.strip() for cell in row], name, column)
            if column.isdecimal():  # otherwise this row is the header
                yield row[index]
        elif len(row) == width:
            yield row[index]
        else:
            raise UserError(
                f"line {line:,} of {name} has {len(row):,} columns, and the first has {width:,}: "
                f'put cells that contain a {"comma" if delimiter == "," else "tab"} in double quotes ("...")'
            )


def _csv_rows(file: IO[bytes], name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its first line; a blank line is an empty row."""
    reader = csv.reader((f"{line}\n" for line in read_lines(file, name)), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"line {line:,} of {name} is not valid {'CSV' if delimiter == ',' else 'TSV'} ({error}): a cell that "
            'contains a double quote must be in double quotes, with each quote in it doubled ("")'
        ) from error


def _index(names: list[str], name: str, column: str) -> int:
    """Index of a column, given the names of all columns."""
    if column.isdecimal():
        if not 1 <= int(column) <= len(names):
            raise UserError(f"{name} has no column {column}: it has {len(names):,}, counted from 1")
        return int(column) - 1
    column = column.strip()
    if (found := names.count(column)) == 1:
        return names.index(column)
    if found > 1:
        raise UserError(f"{name} has {found:,} columns with the name {shorten(column, 40)!r}: rename all but one")
    known = shorten(", ".join(names), 100)
    raise UserError(f"{name} has no column {shorten(column, 40)!r}: choose one of {known}")


def _json_array(file: IO[bytes], name: str) -> Iterator[Any]:
    """The elements of a file that is one JSON array."""
    rows = _decoded("\n".join(read_lines(file, name)), name)
    if not isinstance(rows, list):
        raise UserError(f"{name} is not a JSON array: give one array, or name a file with one object per line .jsonl")
    yield from rows


def _json_lines(file: IO[bytes], name: str) -> Iterator[Any]:
    """The values of a file with one JSON value per line; None for a blank line."""
    for number, line in enumerate(read_lines(file, name), start=1):
        yield None if not line.strip() else _decoded(line, f"line {number:,} of {name}")


def _decoded(text: str, name: str) -> Any:
    try:
        return _decoder.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(
            f"{name} is not valid JSON ({reason(error)}): a .json file is one array, and a .jsonl file has one object "
            "per line"
        ) from error


def _json_cells(rows: Iterable[Any], name: str, column: str, unit: str) -> Iterator[str]:
    """The cells of one column of JSON values.

    An object has the columns that its keys name, an array is a row of columns, and any other value is the only column.
    """
    keys: list[str] = []  # of the first object
    found = False
    for number, row in enumerate(rows, start=1):
        where = f"{unit} {number:,} of {name}"
        if isinstance(row, dict):
            keys = keys or list(row)
            found = found or column in row
            yield _text(row.get(column), where, column)
        elif row is None:
            yield ""
        elif not column.isdecimal():
            raise UserError(f"{where} is not an object, so it has no keys: give the number of a column")
        else:
            cells = row if isinstance(row, list) else [row]
            yield _text(cells[_index(cells, where, column)], where, column)
    if keys and not found:
        _index(keys, name, column)  # raises the error


def _parquet_cells(file: IO[bytes], name: str, column: str) -> Iterator[str]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise UserError(f"{name} cannot be read without pyarrow: pip install pyarrow") from error
    try:
        table = ParquetFile(file)
        names = table.schema_arrow.names
        index = _index(names, name, column)
        for batch in table.iter_batches(columns=[names[index]]):
            for cell in batch.column(0).to_pylist():
                yield _text(cell, name, column)
    except (ArrowException, OSError) as error:
        raise UserError(f"cannot read {name}: {reason(error)}") from error


def _text(cell: Any, where: str, column: str) -> str:
    """The text of a JSON or Parquet value; empty for null."""
    if cell is None:
        return ""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise UserError(
            f"{where} has a value of type {type(cell).__name__} in column {shorten(column, 40)!r}, "
            "which is not a string or a number: choose another column"
        )
    return str(cell)

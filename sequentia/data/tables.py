"""Tables (CSV, TSV, JSON and JSON lines) -> the cells of one column, as text with one cell per line.

A table is read in blocks, as other data is, so memory does not grow with the number of rows.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import IO, Any

from fsspec.utils import infer_compression

from sequentia.data.json_array import decoder, json_array
from sequentia.data.source import text_blocks
from sequentia.errors import UserError
from sequentia.text import shorten

FORMATS = ("csv", "tsv", "json", "jsonl")
"""Suffixes of tables."""

_BLOCK = 1 << 20  # characters of the cells that are held at a time
_MAX_CELL = 1 << 22  # characters; a cell that is longer is almost certainly an unclosed quote
_MAX_LISTED = 100  # characters of a list of column names in a message
_LINE_BREAK = re.compile("\r\n|\r|\n")
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # JSON can escape them, a UTF-8 text file cannot have them

Column = str | int
"""A name in the header line or a key of JSON objects, or the number of a column of a table without header, from 1."""


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


def check_column(column: str | int | None) -> Column | None:
    """The column that the option means; digits are a number.

    Raises:
        UserError: It is neither a name nor a number, or the number is less than 1.
    """
    if isinstance(column, bool) or not isinstance(column, str | int | None):
        raise UserError(f"data.column must be a name or a number, got {str(column)[:40]!r}")
    if isinstance(column, str) and column.isascii() and column.isdigit():
        column = int(column)
    if isinstance(column, int) and column < 1:
        raise UserError(f"data.column counts from 1, got {column}")
    return column


def check_table(path: str) -> str:
    """The format of a file in which a column has been chosen.

    Raises:
        UserError: The file is not a table.
    """
    found = table_format(path)
    if found is None:
        suffixes = ", ".join(f".{suffix}" for suffix in FORMATS)
        raise UserError(f"data.column is for tables ({suffixes}), and {path} is none: omit --data.column")
    return found


class Cells:
    """The cells of one column, as blocks of lines: an iterable over blocks, one cell per line.

    Whitespace around a cell is removed, and a line break in it becomes a space. A cell that is missing or null is a
    blank line. A blank line of a table is a row whose cells are blank.

    Args:
        file: The open file, decompressed.
        name: Its path, which gives the format, and names the file in error messages.
        column: The column.

    Attributes:
        num_joined: Number of cells with a line break so far.

    Raises:
        UserError: While iterating: the file is not a valid table, or does not have the column.
    """

    def __init__(self, file: IO[bytes], name: str, column: Column) -> None:
        self.file, self.name, self.column = file, name, column
        self.num_joined = 0

    def __iter__(self) -> Iterator[str]:
        block: list[str] = []
        size = 0
        for cell in self._cells():
            text = cell.strip()
            if "\n" in text or "\r" in text:
                text = _LINE_BREAK.sub(" ", text)
                self.num_joined += 1
            block.append(text)
            size += len(text) + 1
            if size >= _BLOCK:
                yield "\n".join(block) + "\n"
                block, size = [], 0
        if block:
            yield "\n".join(block) + "\n"

    def _cells(self) -> Iterator[str]:
        match check_table(self.name):
            case "csv":
                return _csv_cells(self.file, self.name, self.column, ",")
            case "tsv":
                return _csv_cells(self.file, self.name, self.column, "\t")
            case "json":
                return _json_cells(json_array(self.file, self.name), self.name, self.column)
            case _:
                return _json_cells(_json_lines(self.file, self.name), self.name, self.column)


def _csv_cells(file: IO[bytes], name: str, column: Column, delimiter: str) -> Iterator[str]:
    width = index = 0
    for line, row in _csv_rows(file, name, delimiter):
        if not row:
            yield ""
        elif width == 0:
            width, index = len(row), _csv_index(row, name, column)
            if isinstance(column, int):  # otherwise this row is the header
                yield row[index]
        elif len(row) == width:
            yield row[index]
        else:
            raise UserError(
                f"line {line:,} of {name} has {len(row):,} columns, and the first has {width:,}: "
                f'put cells that contain a {"comma" if delimiter == "," else "tab"} in double quotes ("...")'
            )


def _csv_index(row: list[str], name: str, column: Column) -> int:
    """Index of the column in the first row."""
    if isinstance(column, int):
        if column > len(row):
            raise UserError(f"{name} has no column {column}: it has {len(row):,}")
        return column - 1
    names = [cell.strip() for cell in row]
    if (found := names.count(column.strip())) > 1:
        raise UserError(f"{name} has {found:,} columns with the name {shorten(column, 40)!r}: rename all but one")
    if found == 0:
        raise _no_column(name, column, names)
    return names.index(column.strip())


def _csv_rows(file: IO[bytes], name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its first line; a blank line is an empty row."""
    reader = csv.reader(_lines(file, name), delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(_MAX_CELL)  # global, so it is restored
    line = 1
    try:
        for row in reader:
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        if "field larger than" in str(error):
            raise UserError(
                f"line {line:,} of {name} has a cell of more than {_MAX_CELL:,} characters: "
                "close its quote, or shorten it"
            ) from error
        kind = "CSV" if delimiter == "," else "TSV"
        raise UserError(
            f"line {line:,} of {name} is not valid {kind} ({error}): a cell that contains a double quote must be in "
            'double quotes, with each quote in it doubled ("")'
        ) from error
    finally:
        csv.field_size_limit(limit)


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    """The lines with their ends."""
    for block in text_blocks(file, name):
        yield from io.StringIO(block, newline="")  # "": a line ends in \n, \r\n or \r, which is kept


def _json_lines(file: IO[bytes], name: str) -> Iterator[tuple[int, Any]]:
    """The values of a file with one JSON value per line, and their line numbers; None for a blank line."""
    for number, line in enumerate(_lines(file, name), start=1):
        try:
            yield number, None if line.isspace() else decoder.decode(line)
        except json.JSONDecodeError as error:
            raise UserError(
                f"line {number:,} of {name} is not valid JSON ({error.msg} at column {error.colno:,}): "
                "give one JSON object per line, or name a file with one JSON array .json"
            ) from error
        except RecursionError as error:
            raise UserError(f"line {number:,} of {name} is nested too deeply: give one flat object per line") from error


def _json_cells(rows: Iterable[tuple[int, Any]], name: str, column: Column) -> Iterator[str]:
    """The cells of one column of JSON values.

    An object has the columns that its keys name, an array is a row of columns, and any other value is the only column.
    """
    keys: list[str] = []  # of the first object
    found = False
    for line, row in rows:
        where = f"line {line:,} of {name}"
        if isinstance(row, dict):
            keys = keys or list(row)
            found = found or str(column) in row
            yield _json_text(row.get(str(column)), where, column)
        elif row is None:
            yield ""
        elif isinstance(column, str):
            raise UserError(f"{where} is {_kind(row)}, which has no keys: give the number of a column as --data.column")
        else:
            cells = row if isinstance(row, list) else [row]
            if column > len(cells):
                raise UserError(f"{where} has no column {column}: it has {len(cells):,}")
            yield _json_text(cells[column - 1], where, column)
    if keys and not found:
        raise _no_column(name, column, keys)


def _json_text(cell: Any, where: str, column: Column) -> str:
    """The text of a JSON value; empty for null."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        raise UserError(
            f"{where} has {_kind(cell)} in column {shorten(str(column), 40)!r}: an example is a string or a number; "
            "choose another column"
        )
    if _NOT_TEXT.search(cell):
        raise UserError(
            f"{where} has an escaped NUL or lone surrogate in column {shorten(str(column), 40)!r}: remove it"
        )
    return cell


def _kind(value: Any) -> str:
    names = {bool: "true or false", list: "an array", dict: "an object"}
    return names.get(type(value), "a string or number")


def _no_column(name: str, column: Column, names: list[str]) -> UserError:
    """The error for a column that a table does not have."""
    listed = ""
    for i, each in enumerate(names):
        listed += (", " if i else "") + shorten(each, 40)
        if len(listed) > _MAX_LISTED and i + 1 < len(names):
            listed += f", and {len(names) - i - 1:,} more"
            break
    return UserError(f"{name} has no column {shorten(str(column), 40)!r}: choose one of {listed}")

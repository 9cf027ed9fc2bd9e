"""Text with a delimiter: CSV with any usual delimiter, and SMILES with names."""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import NamedTuple

from sequentia.data.decoding import Refuse
from sequentia.data.formats.table import Table, find_column
from sequentia.errors import UserError

WHITESPACE = ""
"""The delimiter of SMILES files: only a name, the second cell, can contain whitespace, and names are optional."""

SMILES_SUFFIXES = ("smi", "smiles")

_DELIMITERS = {"\t": "a tab", ";": "a semicolon", "|": "a vertical bar", ",": "a comma"}  # the first, if several fit
_NUMBER_OF_ROWS = 100  # that decide on the layout
_TABLE_SUFFIXES = ("csv", "tsv", "tab", "psv", *SMILES_SUFFIXES)
_NUMBER = re.compile(r"[-+]?[\d.,]*\d([eE][-+]?\d+)?%?")
_HEADERS = frozenset(["id", "name", "smiles", "sequence"])


class Layout(NamedTuple):
    """The delimiter of a text, and its first rows of cells that are not blank."""

    delimiter: str
    rows: list[list[str]]


def layout_of(head: list[str], columns: list[str], smiles: bool) -> Layout:
    """Find the delimiter that gives most of the first rows equally many cells, and has the given columns."""
    if smiles:
        delimiter = "\t" if "\t" in head[0] else WHITESPACE
        return Layout(delimiter, _first_rows(head, delimiter))
    best, layout = (False, False, 0.0), Layout("\t", [])
    for delimiter in _DELIMITERS:
        if rows := _first_rows(head, delimiter):
            names = [cell.strip() for cell in rows[0]]
            equal = sum(len(row) == len(names) for row in rows) / len(rows)
            key = (all(find_column(names, column) for column in columns), len(names) > 1 and equal >= 0.5, equal)
            if key > best:
                best, layout = key, Layout(delimiter, rows)
    return layout


def is_table(layout: Layout, head: list[str], suffix: str) -> bool:
    """Whether a text is a table even if the user does not say so: by its suffix, or by ten rows of equal length.

    A space after the delimiter is that of a sentence or a name.
    """
    regular = len(layout.rows) >= 10 and len({len(row) for row in layout.rows}) == 1
    of_text = any(f"{layout.delimiter} " in line for line in head[:_NUMBER_OF_ROWS])
    evident = suffix in _TABLE_SUFFIXES or (regular and not of_text)
    return evident and any(cell for row in layout.rows for cell in row[1:])


def delimited_table(lines: Iterator[str], layout: Layout, name: str, refuse: Refuse) -> Table:
    """The table of the lines of a file `name`; a blank line is a row whose cells are empty.

    Raises:
        UserError: A quote is not closed. Other invalid rows are refused.
    """
    rows = _rows(lines, layout.delimiter, name, refuse)
    names = [cell.strip() for cell in next((row for _, row in rows if any(row)), [])]

    def read(indices: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        for line, cells in rows:
            row = cells or [""] * len(names)
            if len(row) < len(names) or any(row[len(names) :]):
                refuse(
                    f"line {line:,} of {name} has {len(row):,} columns, and the first has {len(names):,}: put a cell "
                    f'that contains {_DELIMITERS[layout.delimiter]} in double quotes ("...")'
                )
            else:
                yield line, [row[index] for index in indices]

    return Table(names, read, has_header(layout.rows))


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first row is a header: a column has numbers below it, or it has a usual name, and it has no number.

    Example:
        >>> has_header([["name", "age"], ["emma", "7"]]), has_header([["emma", "7"], ["ava", "8"]])
        (True, False)
    """
    first, *others = ([cell.strip() for cell in row] for row in rows or [[]])
    if any(map(_NUMBER.fullmatch, first)):
        return False
    if not _HEADERS.isdisjoint(map(str.casefold, first)):
        return True
    below = (list(filter(None, cells)) for cells in zip_longest(*others, fillvalue=""))
    columns = zip(first, below, strict=False)
    return any(bool(cell and numbers) and all(map(_NUMBER.fullmatch, numbers)) for cell, numbers in columns)


def _first_rows(head: list[str], delimiter: str) -> list[list[str]]:
    """The first rows that are valid and not blank."""
    rows: list[list[str]] = []
    with suppress(UserError):  # a cell that does not end
        for _, row in _rows(iter(head), delimiter, "", lambda _: None):
            rows += [row] if any(row) else []
    return rows[:_NUMBER_OF_ROWS]


def _rows(lines: Iterator[str], delimiter: str, name: str, refuse: Refuse) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the number of its first line; a blank line is an empty row, or one of empty cells."""
    if delimiter == WHITESPACE:
        yield from enumerate(([*line.split(None, 1), "", ""][:2] for line in lines), start=1)
        return
    # A space between a delimiter and a quote is allowed.
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        line = 1 + reader.line_num
        try:
            yield line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = (
                f"line {line:,} of {name} is not valid CSV ({error}): a cell that contains a double quote must be in "
                'double quotes, with each quote in it doubled ("")'
            )
            if "expected after" not in str(error):  # a quote that is not closed takes in lines without end
                raise UserError(message) from error
            refuse(message)

"""A table of any format -> the text of the cells of the column of the examples, and of that of their labels."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from lightning.pytorch.utilities import rank_zero_only

from sequentia.data.decoding import Refuse
from sequentia.errors import UserError
from sequentia.text import shorten, similar

_BLOCK = 10_000  # cells that are held at a time
_LINE_BREAK = re.compile("\r\n|\r|\n")

_info = rank_zero_only(logging.getLogger(__name__).info)


class Table(NamedTuple):
    """A table that is read once, row by row.

    Attributes:
        names: The names of the columns.
        rows: Given the indices of columns, reads the rows: the number of each, for messages, and its cells in these
            columns, None for an empty one.
        header: None if the names are certainly not examples. Otherwise they are the first row, and this is whether they
            seem to be a header.
    """

    names: list[str]
    rows: Callable[[Sequence[int]], Iterator[tuple[int, Sequence[Any]]]]
    header: bool | None = None


class Block(NamedTuple):
    """Some lines of a file.

    Attributes:
        lines: The lines.
        labels: The label of each, empty if it has none; None if no labels are read.
    """

    lines: list[str]
    labels: list[str] | None = None


def cells(table: Table, name: str, column: str | None, label: str | None, refuse: Refuse) -> Iterator[tuple[str, ...]]:
    """The text of the cells of one column, or of two; that of an empty cell is empty.

    If all columns are given as numbers, the first row of a text can be a header or an example: which it is taken for is
    logged.

    Args:
        table: The table.
        name: The name of its file, for messages.
        column: Name or number of the column of the examples; the only one by default, that of the labels excepted.
        label: Name or number of the column of their labels; there are no labels by default.
        refuse: Called with the message about a cell that is not text or a number.

    Yields:
        The example of each row, and its label if labels are read.

    Raises:
        UserError: The table does not have a column, or has several and none is given.
    """
    names = table.names
    if not names:
        return
    labels = [] if label is None else [_index(names, name, label)]
    examples = [(index, True) for index in range(len(names)) if index not in (index for index, _ in labels)]
    if column is not None:
        examples = [_index(names, name, column)]
    elif len(examples) != 1:
        columns = shorten(", ".join(names), 100)
        raise UserError(f"{name} is a table with the columns {columns}: give the name or number of one as column")
    indices, by_number = zip(*examples, *labels, strict=True)
    if all(by_number) and table.header is not None:
        role = "an example; if it is a header,"
        if table.header:
            role = "a header; if it is an example, put a header above it and"
        cell = shorten(names[indices[0]], 40)
        first = f"the first row, {cell!r}, is taken as {role}"
        _info(f"column {indices[0] + 1} of {name}: {first} give the name of the column")
        if not table.header:
            yield tuple(names[index] for index in indices)
    elif column is None:
        _info(f"{name}: read as a table, column {shorten(names[indices[0]], 40)}")
    for number, row in table.rows(indices):
        for index, cell in zip(indices, row, strict=True):
            if not _is_text(cell):
                refuse(
                    f"row {number:,} of {name} has a value of type {type(cell).__name__} in column "
                    f"{shorten(names[index], 40)!r}, which is not a string or a number: choose another column or format"
                )
                break
        else:
            yield tuple("" if cell is None else str(cell) for cell in row)


def _is_text(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str | int | float) and not isinstance(cell, bool))


def cell_blocks(rows: Iterable[tuple[str, ...]]) -> Iterator[Block]:
    """Examples, or examples and their labels, in blocks that bound the memory: a line break becomes a space."""
    rows = iter(rows)
    while some := list(islice(rows, _BLOCK)):
        columns = zip(*some, strict=True)
        yield Block(*([_LINE_BREAK.sub(" ", cell.strip()) for cell in column] for column in columns))


def find_column(names: list[str], column: str) -> list[int]:
    """Indices of the columns that a number, from 1, or a name means; it may differ in case from the names."""
    column = column.strip()
    if _is_number(names, column):
        return [int(column) - 1]
    exact = [index for index, each in enumerate(names) if each == column]
    return exact or [index for index, each in enumerate(names) if each.casefold() == column.casefold()]


def _is_number(names: list[str], column: str) -> bool:
    return column.strip().isdecimal() and 1 <= int(column) <= len(names)


def _index(names: list[str], name: str, column: str) -> tuple[int, bool]:
    """Index of a column, and whether it is given as a number.

    Raises:
        UserError: There is no such column, or more than one.
    """
    found = find_column(names, column)
    shown = repr(shorten(column.strip(), 40))
    if len(found) > 1:
        raise UserError(f"{name} has {len(found):,} columns with the name {shown}: give the number of one")
    if not found:
        close = similar(column, names)
        meant = f"did you mean {close[0]!r}? It has" if close else "it has"
        columns = shorten(", ".join(names), 100)
        raise UserError(f"{name} has no column {shown}: {meant} {columns}; a number, from 1, names a column too")
    return found[0], _is_number(names, column)

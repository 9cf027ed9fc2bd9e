"""The first lines of a text file -> how its examples are laid out: in lines, records, or the columns of a table."""

import csv
import json
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice, zip_longest
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

from fsspec.utils import infer_compression

Format = Literal["lines", "csv", "smi", "json", "fasta"]
"""What a user may say about the format; `csv` has any delimiter, and `json` one value or one per line."""

WHITESPACE = ""
DELIMITERS = {"\t": "a tab", ";": "a semicolon", "|": "a vertical bar", ",": "a comma", WHITESPACE: "whitespace"}
"""Delimiters of cells, of which the first is taken if several are possible; whitespace is that of SMILES files."""

NUMBER_OF_ROWS = 100
"""Rows that decide on the layout."""

_SMILES_SUFFIXES = ("smi", "smiles")
_TABLE_SUFFIXES = ("csv", "tsv", "tab", "psv", *_SMILES_SUFFIXES)
_FASTA_SUFFIXES = ("fasta", "fa", "faa", "fna", "ffn", "frn", "fas")
_JSON_SUFFIXES = ("json", "jsonl", "ndjson")
_JSON = re.compile(r'\{\s*("|\}|$)|\[\s*([\[{"\]]|$)')  # not the SMILES [Na+], for example
_SEQUENCE = re.compile(r"([A-Za-z*.-]{10} )*[A-Za-z*.-]+")  # letters and gaps, perhaps in blocks of ten
_NUMBER = re.compile(r"[-+]?[\d.,]*\d([eE][-+]?\d+)?%?")
_HEADERS = frozenset(["id", "name", "smiles", "sequence"])

# A number becomes its text in the file, and NaN, which many programs write for a missing one, null.
decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)


class Layout(NamedTuple):
    """How the examples of a file are laid out.

    Attributes:
        format: `jsonl` is one JSON value per line, and `json` one value; `csv` is cells with a delimiter.
        delimiter: The delimiter of cells.
        rows: The first rows of cells that are not blank.
    """

    format: Literal["lines", "csv", "json", "jsonl", "fasta"]
    delimiter: str = WHITESPACE
    rows: tuple[list[str], ...] = ()

    @property
    def num_columns(self) -> int:
        """Number of cells of the longest row."""
        return max(map(len, self.rows), default=0)


def layout_of(head: list[str], path: str, column: str | None, given: Format | None) -> Layout:
    """Find out how a file is laid out, from its first lines. Its suffix decides only what they leave open.

    Args:
        head: The first lines.
        path: The file.
        column: The column of the examples, if the user has given one.
        given: The format, if the user has given it.
    """
    head = [line for line in head[: 10 * NUMBER_OF_ROWS] if line.strip()]  # a row can have several lines
    suffix = suffix_of(path)
    if given == "lines":
        return Layout("lines")
    if not head:
        return Layout("csv")
    if given == "fasta" or (given is None and _is_fasta(head, suffix)):
        return Layout("fasta")
    if given == "json" or (given is None and _is_json(head[0].strip(), suffix)):
        return Layout("jsonl" if len(head) > 1 and decoded(head[0]) is not None else "json")
    if given == "smi" or (given is None and suffix in _SMILES_SUFFIXES):
        if "\t" in head[0]:
            return Layout("csv", "\t", _rows(head, "\t"))
        return Layout("csv", WHITESPACE, tuple(line.split(None, 1) for line in head[:NUMBER_OF_ROWS]))
    return _table(head, column)


def is_evident(layout: Layout, head: list[str], path: str) -> bool:
    """Whether a file is a table even if the user says nothing of it: by its suffix, or by ten rows of equal length.

    A space after the delimiter is that of a sentence or a name.
    """
    if layout.num_columns < 2 or suffix_of(path) in _TABLE_SUFFIXES:
        return layout.num_columns > 1
    of_text = any(f"{layout.delimiter} " in line for line in head[:NUMBER_OF_ROWS])
    return len({*map(len, layout.rows)}) == 1 and len(layout.rows) >= 10 and not of_text


def suffix_of(path: str) -> str:
    """The suffix of a path or URL, which another suffix for the compression may follow; empty if it has none.

    Example:
        >>> suffix_of("names.CSV.gz"), suffix_of("https://a.org/names.jsonl?raw=1"), suffix_of("names")
        ('csv', 'jsonl', '')
    """
    name = PurePath(path.partition("?")[0] if "://" in path else path)
    if infer_compression(str(name)) is not None:
        name = name.with_suffix("")
    return name.suffix.lower().removeprefix(".")


def decoded(text: str) -> Any:
    """The value of a JSON text; None if it is not JSON."""
    try:
        return decoder.decode(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def _is_fasta(head: list[str], suffix: str) -> bool:
    """Whether lines are headers, each `>` and a name, and lines of a sequence; lines that begin with `;` are comments.

    Quotations that begin with `>` are not FASTA: no sequence follows, or other text does.
    """
    lines = [line for line in head if not line.startswith(";")]
    sequences = [line.strip() for line in lines if not line.startswith(">")]
    of_sequences = suffix in _FASTA_SUFFIXES or (bool(sequences) and all(map(_SEQUENCE.fullmatch, sequences)))
    return bool(lines) and lines[0].startswith(">") and of_sequences


def _is_json(first: str, suffix: str) -> bool:
    """Whether a first line is or begins an array or object; in a JSON file, whether it is any value."""
    value = decoded(first)
    return (
        isinstance(value, list | dict)
        or _JSON.match(first) is not None
        or (suffix in _JSON_SUFFIXES and value is not None)
    )


def _table(head: list[str], column: str | None) -> Layout:
    """The layout of cells: the delimiter that finds the column and gives most of the first rows equally many cells."""
    best, layout = (False, False, 0.0), Layout("csv", "\t")
    for delimiter in filter(None, DELIMITERS):
        if rows := _rows(head, delimiter):
            equal = sum(len(row) == len(rows[0]) for row in rows) / len(rows)
            key = (has_column(rows[0], column), len(rows[0]) > 1 and equal >= 0.5, equal)
            if key > best:
                best, layout = key, Layout("csv", delimiter, rows)
    return layout


def has_column(row: list[str], column: str | None) -> bool:
    """Whether a row of names has a column of that name or number, which may be None for any."""
    if column is None or (column.isdecimal() and int(column) <= len(row)):
        return True
    return column.strip().casefold() in (cell.strip().casefold() for cell in row)


def _rows(lines: list[str], delimiter: str) -> tuple[list[str], ...]:
    """The first rows that are not blank; none if a cell has no end in sight."""
    with suppress(csv.Error):
        return tuple(islice(filter(None, csv_reader(lines, delimiter, strict=False)), NUMBER_OF_ROWS))
    return ()


def csv_reader(lines: Iterable[str], delimiter: str, strict: bool = True) -> Any:
    """The rows of lines without their ends; a space between a delimiter and a quote is allowed."""
    return csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=strict, skipinitialspace=True)


def has_header(rows: Iterable[list[str]]) -> bool:
    """Whether the first row is a header: a column has numbers below it, or it has a usual name, and it has no number.

    Example:
        >>> has_header([["name", "age"], ["emma", "7"]]), has_header([["emma", "7"], ["ava", "8"]])
        (True, False)
    """
    first, *others = ([cell.strip() for cell in row] for row in rows)
    if any(map(_NUMBER.fullmatch, first)):
        return False
    if not _HEADERS.isdisjoint(map(str.casefold, first)):
        return True
    below = (list(filter(None, cells)) for cells in zip_longest(*others, fillvalue=""))
    columns = zip(first, below, strict=False)
    return any(bool(cell and numbers) and all(map(_NUMBER.fullmatch, numbers)) for cell, numbers in columns)

"""The first lines of a text file -> how its examples are laid out: in lines, records, or the columns of a table."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

from fsspec.utils import infer_compression

from sequentia.data.fasta import is_fasta

Format = Literal["lines", "csv", "smi", "json", "fasta"]
"""What a user may say about the format; `csv` has any delimiter, and `json` one value or one per line."""

WHITESPACE = ""
DELIMITERS = {"\t": "a tab", ";": "a semicolon", "|": "a vertical bar", ",": "a comma", WHITESPACE: "whitespace"}
"""Delimiters of cells, of which the first is taken if several are possible."""

NUMBER_OF_ROWS = 100
"""Rows that decide on the layout."""

_SUFFIXES = {"tsv": "\t", "tab": "\t", "csv": ",", "psv": "|", "smi": WHITESPACE, "smiles": WHITESPACE}
_FASTA_SUFFIXES = ("fasta", "fa", "faa", "fna", "ffn", "frn", "fas")
JSON_SUFFIXES = ("json", "jsonl", "ndjson")
_JSON = re.compile(r'\{\s*("|\}|$)|\[\s*([\[{"\]]|$)')  # not the SMILES [Na+], for example
_SEP = re.compile(r"sep=(.)", re.IGNORECASE)  # the first line of a table that Excel has written
_HEADERS = frozenset(["id", "name", "smiles", "sequence"])
_MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "?")

# A number becomes its text in the file, and NaN, which many programs write for a missing one, null.
decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)


class Layout(NamedTuple):
    """How the examples of a file are laid out.

    Attributes:
        format: `jsonl` is one JSON value per line, and `json` any other number of values; `csv` is cells with a
            delimiter.
        delimiter: The delimiter of cells.
        rows: The first rows of cells that are not blank.
        skip: Number of lines before the table.
    """

    format: Literal["lines", "csv", "json", "jsonl", "fasta"]
    delimiter: str = WHITESPACE
    rows: tuple[list[str], ...] = ()
    skip: int = 0

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
    if given == "lines":
        return Layout("lines")
    head = head[: 10 * NUMBER_OF_ROWS]  # a row can have several lines
    suffix = suffix_of(path)
    if given == "fasta" or (given is None and is_fasta(head, suffix in _FASTA_SUFFIXES)):
        return Layout("fasta")
    if given == "json" or (given is None and _is_json(head, suffix)):
        values = [line for line in head[:NUMBER_OF_ROWS] if line.strip()]
        return Layout("jsonl" if len(values) > 1 and decoded(values[0]) is not None else "json")
    return _table(head, suffix, column, given)


def is_evident(layout: Layout, head: list[str], path: str) -> bool:
    """Whether a file is a table even if the user says nothing of it: by its suffix, or by rows of equal length.

    Whitespace, and a space after the delimiter, are those of a sentence or a name.
    """
    if layout.num_columns < 2 or suffix_of(path) in _SUFFIXES:
        return layout.num_columns > 1
    of_text = layout.delimiter == WHITESPACE or any(f"{layout.delimiter} " in line for line in head[:NUMBER_OF_ROWS])
    enough = 2 if layout.delimiter == "\t" else 10
    return len({*map(len, layout.rows)}) == 1 and len(layout.rows) >= enough and not of_text


def suffix_of(path: str) -> str:
    """The suffix of a path or URL, which another suffix for the compression may follow; empty if it has none.

    Example:
        >>> suffix_of("names.CSV.gz"), suffix_of("https://a.org/names.jsonl?raw=1"), suffix_of("names")
        ('csv', 'jsonl', '')
    """
    for part in path.split("::"):  # fsspec chains URLs: "simplecache::https://..."
        name = PurePath(part.partition("?")[0] if "://" in part else part)
        if infer_compression(str(name)) is not None:
            name = name.with_suffix("")
        if name.suffix:
            return name.suffix.lower().removeprefix(".")
    return ""


def decoded(text: str) -> Any:
    """The value of a JSON text; None if it is not JSON."""
    try:
        return decoder.decode(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def _is_json(head: list[str], suffix: str) -> bool:
    first = next((line.strip() for line in head if line.strip()), "")
    value = decoded(first) if len(first) < 1 << 20 else None
    is_value = value is not None if suffix in JSON_SUFFIXES else isinstance(value, list | dict)
    return is_value or _JSON.match(first) is not None


def _table(head: list[str], suffix: str, column: str | None, given: Format | None) -> Layout:
    """The layout of cells: the delimiter with which most of the first rows have equally many.

    Of several, one with which the column exists comes first, and that of the suffix. If there is none, whitespace is if
    all rows have it, and otherwise the table has one column.
    """
    skip = next((i for i, line in enumerate(head) if line.strip()), 0)
    if head and (match := _SEP.fullmatch(head[skip])):
        return Layout("csv", match[1], _rows(head[skip + 1 :], match[1])[0], skip + 1)
    of_suffix = WHITESPACE if given == "smi" else _SUFFIXES.get(suffix)
    lines = [line.strip() for line in head if line.strip()][:NUMBER_OF_ROWS]
    spaced = of_suffix == WHITESPACE and any(len(line.split()) > 1 for line in lines)
    candidates = []
    for delimiter in ("\t",) if spaced else filter(None, DELIMITERS):
        rows, is_valid = _rows(head, delimiter)
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
        names_column = column is not None and not column.isdecimal() and bool(rows) and _has_column(rows[0], column)
        if width > 1 or names_column:
            likely = delimiter == of_suffix and not (delimiter == "," and _has_decimals_only(head))
            key = (_has_column(rows[0], column), is_valid, count / len(rows), likely)
            candidates.append((key, Layout("csv", delimiter, rows)))
    best = max(candidates, key=lambda candidate: candidate[0], default=None)  # the first of equal ones
    share = best[0][2] if best else 0.0
    of_words = all(len(line.split()) > 1 and '"' not in line for line in lines) and bool(lines)
    if share < 1 and (spaced or (share < 0.5 and of_words and _has_column(lines[0].split(), column))):
        # With rows of different lengths, only the second cell, a name, can contain whitespace.
        most = -1 if len({len(line.split()) for line in lines}) == 1 else 1
        return Layout("csv", WHITESPACE, tuple(line.split(None, most) for line in lines))
    return best[1] if best else Layout("csv", ",", _rows(head, ",")[0])


def _has_column(row: list[str], column: str | None) -> bool:
    if column is None or (column.isdecimal() and int(column) <= len(row)):
        return True
    return column.strip().casefold() in (cell.strip().casefold() for cell in row)


def _has_decimals_only(head: list[str]) -> bool:
    """Whether there are commas, and all are between digits, as in numbers."""
    text = "\n".join(head[:NUMBER_OF_ROWS])
    return "," in text and "," not in re.sub(r"(?<=\d),(?=\d)", "", text)


def _rows(lines: list[str], delimiter: str) -> tuple[tuple[list[str], ...], bool]:
    """The first rows that are not blank, and whether they are valid CSV."""
    for strict in (True, False):
        with suppress(csv.Error):
            return tuple(islice(filter(None, csv_reader(lines, delimiter, strict)), NUMBER_OF_ROWS)), strict
    return (), False


def csv_reader(lines: Iterable[str], delimiter: str, strict: bool = True) -> Any:
    """The rows of lines without their ends; a space between a delimiter and a quote is allowed."""
    return csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=strict, skipinitialspace=True)


def has_header(rows: Iterable[list[str]]) -> bool:
    """Whether the first row is a header: in some column it has no number and all others do, or another length.

    Lengths count if at least five rows have the same. A header has no number, and a few names are those of columns.

    Example:
        >>> has_header([["name", "age"], ["emma", "7"]]), has_header([["emma", "7"], ["ava", "8"]])
        (True, False)
    """
    first, *others = ([cell.strip() for cell in row] for row in rows)
    if any(map(_is_number, first)):
        return False
    if not _HEADERS.isdisjoint(map(str.casefold, first)):
        return True
    for index, cell in enumerate(first):
        below = [row[index] for row in others if index < len(row) and row[index].lower() not in _MISSING]
        lengths = {len(other) for other in below}
        if cell.lower() in _MISSING or not below:
            continue
        if all(map(_is_number, below)) or (len(below) >= 5 and len(lengths) == 1 and len(cell) not in lengths):
            return True
    return False


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.,]*\d([eE][-+]?\d+)?%?", cell) is not None

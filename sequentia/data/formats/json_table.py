"""JSON: one array of strings or objects, or one object per line. The keys of the objects are the columns."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sequentia.data.decoding import Refuse
from sequentia.data.formats.table import Table
from sequentia.data.source import reason

JSON_SUFFIXES = ("json", "jsonl", "ndjson")

_NUMBER_OF_ROWS = 100  # whose keys are the columns of a file with one object per line
_BEGINNING = re.compile(r'\{\s*("|\}|$)|\[\s*([\[{"\]]|$)')  # not the SMILES [Na+], for example

# A number becomes its text in the file, and NaN, which many programs write for a missing one, null.
_decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)


def may_be_json(first: str, suffix: str) -> bool:
    """Whether a first line begins an array or object; in a JSON file, whether it is any value."""
    return _BEGINNING.match(first.lstrip()) is not None or (suffix in JSON_SUFFIXES and _decoded(first) is not None)


def is_json_lines(head: list[str]) -> bool:
    """Whether the first lines begin a file with one value per line: the first is an object, or a string or number."""
    first = _decoded(head[0])
    return len(head) > 1 and bool(first) and not isinstance(first, list)


def json_lines_table(lines: Iterator[str], head: list[str], name: str, refuse: Refuse) -> Table:
    """The table of a file `name` with one value per line; its columns are found in the first lines, `head`.

    A blank line is a row whose cells are empty, and a line that is not valid JSON is refused.
    """

    def values() -> Iterator[tuple[int, Any]]:
        for number, line in enumerate(lines, start=1):
            try:
                yield number, _decode(line) if line.strip() else None
            except ValueError as error:
                refuse(f"line {number:,} of {name} is not valid JSON ({reason(error)}): correct it")

    return _table(map(_decoded, head[:_NUMBER_OF_ROWS]), values())


def json_table(lines: list[str]) -> Table:
    """The table of a file with one value: the elements of an array, or an object as the only row.

    Raises:
        ValueError: The file is not valid JSON.
    """
    value = _decode("\n".join(lines))
    values = value if isinstance(value, list) else [value]
    return _table(values, enumerate(values, start=1))


def _table(first: Iterable[Any], values: Iterable[tuple[int, Any]]) -> Table:
    """A table of objects, whose columns are those of the first ones; any other value is the only column of its row."""
    names = list(dict.fromkeys(name for value in first for name in _row(value)))

    def read(indices: Sequence[int]) -> Iterator[tuple[int, list[Any]]]:
        for number, value in values:
            row = _row(value)
            yield number, [row.get(names[index]) for index in indices]

    return Table(names, read)


def _row(value: Any) -> dict[str, Any]:
    return {} if value is None else value if isinstance(value, dict) else {"1": value}


def _decode(text: str) -> Any:
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise ValueError(reason(error)) from error


def _decoded(text: str) -> Any:
    """The value of a JSON text; None if it is not JSON."""
    try:
        return _decode(text)
    except ValueError:
        return None

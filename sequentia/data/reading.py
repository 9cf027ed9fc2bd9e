"""A file -> its lines: how the files of the data are read, in one place for training and scoring."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, get_args

from lightning.pytorch.utilities import rank_zero_only

from sequentia.data.decoding import Refuse, check_encoding, line_blocks
from sequentia.data.formats.delimited import SMILES_SUFFIXES, delimited_table, is_table, layout_of
from sequentia.data.formats.fasta import fasta_sequences, is_fasta
from sequentia.data.formats.json_table import JSON_SUFFIXES, is_json_lines, json_lines_table, json_table, may_be_json
from sequentia.data.formats.parquet import is_parquet, parquet_table
from sequentia.data.formats.table import Block, cell_blocks, cells
from sequentia.data.paths import PACKAGED, is_packaged, plain, shown, suffix_of
from sequentia.data.source import open_data, reason
from sequentia.errors import UserError
from sequentia.text import shorten

Format = Literal["lines", "csv", "smi", "json", "fasta"]
"""What a user may say about the format; `csv` has any delimiter, and `json` one value or one per line."""

FILENAME = "filename"
"""The label of all lines of a file is its name, without directory and suffix."""

_HEAD = 1000  # lines that decide on the format

_warn = rank_zero_only(logging.getLogger(__name__).warning)


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        column: The column of the examples, if the files are tables.
        format: The format of the files; by default each file's follows from its content.
        encoding: One of Python's text encodings; a byte order mark overrides it.
        skip_invalid: Whether to leave out invalid lines, and log how many.
        label: The column of the labels of the examples, or `filename`; by default no labels are read.

    Raises:
        UserError: There is no such format or text encoding.
    """

    column: str | None = None
    format: Format | None = None
    encoding: str = "utf-8"
    skip_invalid: bool = False
    label: str | None = None

    def __post_init__(self) -> None:
        check_encoding(self.encoding)
        if self.format not in (None, *get_args(Format)):
            raise UserError(f"format must be one of {', '.join(get_args(Format))}, got {self.format!r}")


LINES = Reading()
"""The default: text with one example per line, or records or a table that need no options."""


def blocks(path: str, reading: Reading) -> Iterator[Block]:
    """Read the lines of a file, or the cells of its columns, in blocks that bound the memory.

    Args:
        path: A path from `plain`: a packaged dataset's name, a file, a URL that fsspec can open, or `-` for stdin.
        reading: How it is read.

    Raises:
        UserError: The file cannot be read, or is not text or a valid table.
    """
    name = shown(path)
    count, first = 0, ""
    if is_packaged(path):
        reading = replace(reading, column=reading.column or PACKAGED[path][1])
    if reading.label == FILENAME:
        own = os.path.basename(name).partition(".")[0]
        yield from (Block(lines, [own] * len(lines)) for lines, _ in blocks(path, replace(reading, label=None)))
        return

    def refuse(message: str) -> None:
        nonlocal count, first
        if not reading.skip_invalid:
            raise UserError(f"{message}, or leave out such lines with skip_invalid")
        count, first = count + 1, first or message.partition(": ")[0]

    with open_data(path) as file:
        if is_parquet(file):
            yield from cell_blocks(cells(parquet_table(file, name), name, reading.column, reading.label, refuse))
        else:
            yield from _examples(line_blocks(file, name, reading.encoding, refuse), name, reading, refuse)
    if count:
        _warn(f"{name}: invalid lines dropped: {count:,}; the first: {first}")


def texts(path: str, reading: Reading = LINES) -> Iterator[str]:
    """The lines of a file that are not blank, without surrounding whitespace.

    Raises:
        UserError: See `blocks`.
    """
    lines = chain.from_iterable(block.lines for block in blocks(plain(path), reading))
    return filter(None, map(str.strip, lines))


def _examples(lines: Iterator[list[str]], name: str, reading: Reading, refuse: Refuse) -> Iterator[Block]:
    """The examples of a text file, whose suffix decides only what its first lines leave open."""
    head: list[str] = []
    while len(head) < _HEAD and (block := next(lines, None)) is not None:
        head = [*head, *block] if head else block
    lines = chain([head], lines)
    rows = chain.from_iterable(lines)
    head = [line for line in head[:_HEAD] if line.strip()]
    columns, given = [each for each in (reading.column, reading.label) if each is not None], reading.format
    suffix = suffix_of(name)
    of_fasta = given == "fasta" or (given is None and is_fasta(head, suffix))
    if columns and (given == "lines" or of_fasta):
        kind = "FASTA" if of_fasta else "lines"
        option = "label" if reading.column is None else "column"
        raise UserError(f"{name} is read as {kind}, which has no columns: omit {option}, or give another format")
    if given == "lines" or not head:
        return map(Block, lines)
    if of_fasta:
        return cell_blocks((sequence,) for sequence in fasta_sequences(rows, name))
    if given == "json" or (given is None and may_be_json(head[0], suffix)):
        return _json_examples(rows, head, name, reading, refuse)
    layout = layout_of(head, columns, given == "smi" or (given is None and suffix in SMILES_SUFFIXES))
    if columns or given is not None:
        table = delimited_table(rows, layout, name, refuse)
        return cell_blocks(cells(table, name, reading.column, reading.label, refuse))
    if is_table(layout, head, suffix):
        names = shorten(", ".join(layout.rows[0]), 100)
        _warn(
            f"{name}: read as raw lines; if the examples are one column of a table ({names}), give its name or "
            "number as column"
        )
    return map(Block, lines)


def _json_examples(
    rows: Iterator[str], head: list[str], name: str, reading: Reading, refuse: Refuse
) -> Iterator[Block]:
    """The examples of a text that begins like JSON; its lines if it is not, and the user does not say that it is."""
    if is_json_lines(head):
        table = json_lines_table(rows, head, name, refuse)
    else:
        lines = list(rows)
        try:
            table = json_table(lines)
        except ValueError as error:
            message = f"is not valid JSON ({reason(error)})"
            if reading.format == "json" or suffix_of(name) in JSON_SUFFIXES or reading.column or reading.label:
                raise UserError(f"{name} {message}: correct it, or read its lines with format lines") from error
            _warn(f"{name}: read as raw lines: it begins like JSON, but {message}")
            return iter([Block(lines)])
    return cell_blocks(cells(table, name, reading.column, reading.label, refuse))

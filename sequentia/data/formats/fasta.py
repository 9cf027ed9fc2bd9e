"""FASTA: each record is a header, `>` and a name, and the lines of a sequence, which is the example."""

import logging
import re
from collections.abc import Iterator
from itertools import chain

from lightning.pytorch.utilities import rank_zero_only

_SUFFIXES = ("fasta", "fa", "faa", "fna", "ffn", "frn", "fas")
_SEQUENCE = re.compile(r"([A-Za-z*.-]{10} )*[A-Za-z*.-]+")  # letters and gaps, perhaps in blocks of ten

_info = rank_zero_only(logging.getLogger(__name__).info)


def is_fasta(head: list[str], suffix: str) -> bool:
    """Whether lines are headers and lines of a sequence; lines that begin with `;` are comments.

    Quotations that begin with `>` are not FASTA: no sequence follows, or other text does.
    """
    lines = [line for line in head if not line.startswith(";")]
    sequences = [line.strip() for line in lines if not line.startswith(">")]
    of_sequences = suffix in _SUFFIXES or (bool(sequences) and all(map(_SEQUENCE.fullmatch, sequences)))
    return bool(lines) and lines[0].startswith(">") and of_sequences


def fasta_sequences(lines: Iterator[str], name: str) -> Iterator[str]:
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
    _info(f"{name}: read as FASTA: {count:,} records")

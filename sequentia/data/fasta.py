"""FASTA -> the sequence of each record."""

import re
from collections.abc import Iterator

_SEQUENCE = re.compile(r"[A-Za-z*.?~-]+")


def is_fasta(head: list[str], expected: bool = False) -> bool:
    """Whether lines are FASTA: headers, each `>` and a name, and between them lines of a sequence.

    Quotations and lists that begin with `>` are not: no sequence follows, or other text does.

    Args:
        head: The first lines of a file. Those that begin with `;` are comments.
        expected: Whether the file says so itself: then a header is enough.
    """
    lines = [line for line in head if line.strip() and not line.startswith(";")]
    if not lines or not lines[0].startswith(">"):
        return False
    sequences = [line for line in lines if not line.startswith(">")]
    return expected or (bool(sequences) and all(map(_is_sequence, sequences)))


def _is_sequence(line: str) -> bool:
    """Whether a line has letters and gaps only. Whitespace may divide it into blocks of one size."""
    blocks = line.split()
    return all(map(_SEQUENCE.fullmatch, blocks)) and len({len(block) for block in blocks[:-1]} | {10}) == 1


def fasta_sequences(lines: Iterator[str]) -> Iterator[str]:
    """The sequence of each record: its lines are joined, and whitespace and a final `*` are removed.

    Args:
        lines: The lines of a FASTA file.
    """
    parts: list[str] | None = None  # None before the first header
    for line in lines:
        if line.startswith(">"):
            if parts is not None:
                yield "".join(parts).removesuffix("*")
            parts = []
        elif parts is not None and not line.startswith(";"):
            parts += line.split()
    if parts is not None:
        yield "".join(parts).removesuffix("*")

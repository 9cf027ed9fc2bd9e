"""FASTA and FASTQ -> the sequence of each record."""

import re
from collections.abc import Iterator

from sequentia.errors import UserError

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


def is_fastq(head: list[str]) -> bool:
    """Whether lines are FASTQ: a header that begins with `@`, a sequence, `+`, and a quality for each letter."""
    header, sequence, plus, quality = map(str.strip, (head + [""] * 4)[:4])
    start = header.startswith("@") and plus.startswith("+")
    return start and len(sequence) == len(quality) and _is_sequence(sequence)


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


def fastq_sequences(lines: Iterator[str], name: str) -> Iterator[str]:
    """The sequence of each record of four lines.

    Args:
        lines: The lines of a FASTQ file.
        name: The name of the file, for messages.

    Raises:
        UserError: A record does not have a header, a sequence, `+` and a quality for each letter.
    """
    numbered = ((number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip())
    for number, header in numbered:
        record = [header, *(line for _, (_, line) in zip(range(3), numbered, strict=False))]
        if not is_fastq(record):
            raise UserError(
                f"line {number:,} of {name} does not begin a FASTQ record (@, sequence, +, quality on four lines): "
                "give format lines if the file is not FASTQ"
            )
        yield record[1]

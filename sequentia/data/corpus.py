"""Text file -> Corpus: all lines of the data as one flat array of ids, and offsets into it."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequentia.data.hashing import hash_lines, hash_texts, mix
from sequentia.data.paths import shown
from sequentia.data.reading import LINES, Reading, blocks
from sequentia.errors import UserError
from sequentia.text import shorten
from sequentia.vocabulary import BOUNDARY, CODE_POINTS, Vocabulary, code_points, smallest_unsigned

LongLines = Literal["drop", "split"]
"""What becomes of lines that are longer than the maximum."""

MOST_LABELS = 10_000

FEW = 0.02
"""Fraction of the lines that are left out for their length without a warning."""

_MAX_LENGTHS = (256, 512, 1024)


@dataclass(frozen=True)
class Corpus:
    """The lines of one or more files, without blank lines; overlong lines are left out, or cut into windows.

    Attributes:
        vocabulary: The characters of all lines, and how many lines have each label.
        ids: `start line start line ... boundary`, in the smallest integer type that holds the vocabulary. A line
            starts with the boundary, or with the token of its label.
        offsets: Line `i` starts at `offsets[i]`: it is `ids[offsets[i] + 1 : offsets[i + 1]]`. Shape `(L + 1,)`.
        hashes: 64-bit hash of each line, equal for equal lines; shape `(L,)`.
        whole_hashes: Of a window the hash of the line that it was cut from, otherwise the same as `hashes`; shape
            `(L,)`.
        lines_per_file: Number of lines of each file. Lines are in the order of the files.
        num_blank: Number of lines dropped because they had only whitespace.
        num_long: Number of lines that were longer than `max_length`.
        max_length: Maximum number of characters per line.
    """

    vocabulary: Vocabulary
    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.unsignedinteger]
    hashes: NDArray[np.uint64]
    whole_hashes: NDArray[np.uint64]
    lines_per_file: tuple[int, ...]
    num_blank: int
    num_long: int
    max_length: int

    def __len__(self) -> int:
        """Number of lines, `L`."""
        return len(self.hashes)

    def num_targets(self, lines: NDArray[np.integer]) -> NDArray[np.int64]:
        """Number of predicted characters of each line, the end included.

        Args:
            lines: Indices of lines, shape `(N,)`.

        Returns:
            Shape `(N,)`.
        """
        return self.offsets[lines + 1].astype(np.int64) - self.offsets[lines].astype(np.int64)

    def starts(self, lines: NDArray[np.integer]) -> NDArray[np.unsignedinteger]:
        """The token that each line starts with: the boundary, or that of its label; `(N,)`.

        Args:
            lines: Indices of lines, shape `(N,)`.
        """
        return self.ids[self.offsets[lines]]

    @cached_property
    def example_hashes(self) -> NDArray[np.uint64]:
        """The hash of each line and its label: equal lines with different labels are different examples; `(L,)`."""
        if not self.vocabulary.labels:
            return self.hashes
        return self.hashes ^ mix(self.ids[self.offsets[:-1]].astype(np.uint64))

    @property
    def num_characters(self) -> int:
        """Number of characters of all lines, without boundaries."""
        return len(self.ids) - len(self.offsets)

    @property
    def longest(self) -> int:
        """Number of characters of the longest line."""
        return int(np.diff(self.offsets).max()) - 1

    def line(self, index: int) -> str:
        """The text of a line."""
        return self.vocabulary.decode(self.ids[int(self.offsets[index]) + 1 : int(self.offsets[index + 1])])


def read_corpus(
    paths: list[str],
    reading: Reading = LINES,
    *,
    max_length: int | None = None,
    long_lines: LongLines = "drop",
    nfc: bool = False,
) -> Corpus:
    r"""Read text files with one example per line, or tables with one example per row.

    Lines end in `\n`, `\r\n` or `\r`. Whitespace around a line is removed, and blank lines are dropped. The cells of a
    table's column are lines in which spaces have replaced line breaks.

    Args:
        paths: Each as `blocks` takes it.
        reading: How the files are read.
        max_length: Maximum number of characters per line. By default the `default_max_length` of the first block of
            lines.
        long_lines: Whether longer lines are dropped, or split into `windows`.
        nfc: Whether to normalize the text to Unicode NFC, which makes "e" + combining acute equal to "é".

    Raises:
        UserError: A file cannot be read, is not text or a valid table, or has no line to keep.
    """
    builder = _CorpusBuilder(max_length, long_lines)
    lines_per_file = []
    for path in paths:
        kept, long = builder.num_kept, builder.num_long
        for lines, labels in blocks(path, reading):
            builder.add([unicodedata.normalize("NFC", line) for line in lines] if nfc else lines, labels)
        lines_per_file.append(builder.num_kept - kept)
        if lines_per_file[-1] == 0:
            if num_long := builder.num_long - long:
                raise UserError(too_few_lines(shown(path), 0, num_long, builder.max_length))
            column = reading.column
            where, choice = ("", "file") if column is None else (f" in column {column!r}", "column or file")
            raise UserError(f"{shown(path)} has no text{where}: give another {choice}")
    return builder.build(tuple(lines_per_file))


class _CorpusBuilder:
    """Collects lines block by block, as code points, because the vocabulary is complete only at the end.

    Attributes:
        max_length: Maximum number of characters per line.
        num_kept: Number of lines kept so far.
        num_long: Number of lines longer than `max_length` so far.
    """

    def __init__(self, max_length: int | None, long_lines: LongLines) -> None:
        self.num_kept = self.num_long = self._num_blank = 0
        self.max_length = max_length or 0
        self._choose_max_length = max_length is None
        self._split = long_lines == "split"
        self._seen = np.zeros(CODE_POINTS, bool)
        self._codes: list[NDArray[np.unsignedinteger]] = []
        self._lengths: list[NDArray[np.unsignedinteger]] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._whole_hashes: list[NDArray[np.uint64]] = []
        self._labels: list[NDArray[np.int64]] = []  # numbers in the order of their first lines; 0 is no label
        self._label_numbers = {"": 0}

    def add(self, lines: list[str], labels: list[str] | None) -> None:
        """Add a block of lines, and their labels if the data has any."""
        lines = list(map(str.strip, lines))
        known = self._label_numbers
        numbers = np.broadcast_to(np.int64(0), len(lines))  # takes no memory
        if labels is not None:
            numbers = np.array([known.setdefault(label.strip(), len(known)) for label in labels], np.int64)
        lengths = np.fromiter(map(len, lines), np.int64, len(lines))  # (L,)
        if self._choose_max_length and lengths.any():
            self.max_length = default_max_length(lengths[lengths > 0])
            self._choose_max_length = False
        fits = (lengths > 0) & (lengths <= self.max_length)
        whole_hashes = None
        if not fits.all():
            self._num_blank += int((lengths == 0).sum())
            self.num_long += int((lengths > self.max_length).sum())
            if self._split:
                whole = list(filter(None, lines))
                pieces = [windows(line, self.max_length) for line in whole]
                num_pieces = list(map(len, pieces))
                whole_hashes = np.repeat(hash_texts(whole), num_pieces)
                numbers = np.repeat(numbers[lengths > 0], num_pieces)
                lines = list(chain.from_iterable(pieces))
            else:
                lines, numbers = list(compress(lines, fits)), numbers[fits]
            lengths = np.fromiter(map(len, lines), np.int64, len(lines))
        if not lines:
            return
        self.num_kept += len(lines)
        codes = code_points("".join(lines))
        self._seen[codes] = True
        self._hashes.append(hash_lines(codes, lengths))
        self._whole_hashes.append(self._hashes[-1] if whole_hashes is None else whole_hashes)
        self._labels.append(numbers)
        self._codes.append(codes.astype(smallest_unsigned(int(codes.max()))))
        self._lengths.append(lengths.astype(smallest_unsigned(self.max_length)))

    def build(self, lines_per_file: tuple[int, ...]) -> Corpus:
        """The corpus of all lines added."""
        characters = np.flatnonzero(self._seen)
        known = self._label_numbers
        counts = np.sum([np.bincount(numbers, minlength=len(known)) for numbers in self._labels], 0)
        labels = {label: int(count) for label, count in zip(known, counts, strict=True) if count}
        check_labels(labels, self.num_kept)
        vocabulary = Vocabulary("".join(map(chr, characters)), labels)
        start_of = np.array([vocabulary.start(label) if label in labels else 0 for label in known])
        id_of = np.zeros(CODE_POINTS, smallest_unsigned(vocabulary.num_tokens - 1))
        id_of[characters] = np.arange(1, len(characters) + 1)
        ids = np.full(sum(map(len, self._codes)) + sum(map(len, self._lengths)) + 1, BOUNDARY, id_of.dtype)
        end = 0
        for codes, lengths, numbers in zip(self._codes, self._lengths, self._labels, strict=True):
            starts = np.cumsum(lengths, dtype=np.int64) - lengths
            start, end = end, end + len(codes) + len(lengths)
            ids[start:end] = np.insert(id_of[codes], starts, start_of[numbers])
        dtype = smallest_unsigned(len(ids))
        offsets = np.concatenate([np.zeros(1, dtype), *self._lengths]).astype(dtype, copy=False)
        offsets[1:] += 1  # each line takes its characters and one boundary
        np.cumsum(offsets, out=offsets)
        hashes = np.concatenate(self._hashes)
        return Corpus(
            vocabulary=vocabulary,
            ids=ids,
            offsets=offsets,
            hashes=hashes,
            whole_hashes=np.concatenate(self._whole_hashes) if self._split else hashes,
            lines_per_file=lines_per_file,
            num_blank=self._num_blank,
            num_long=self.num_long,
            max_length=self.max_length,
        )


def check_labels(labels: Mapping[str, int], num_lines: int) -> None:
    """Refuse labels that are not classes of lines.

    Args:
        labels: Number of lines with each label; the empty label counts those without one.
        num_lines: Number of lines.

    Raises:
        UserError: There are too many labels.
    """
    found = list(filter(None, labels))
    if len(found) > MOST_LABELS or (len(found) > 10 and 2 * len(found) > num_lines):
        raise UserError(
            f"{len(found):,} different labels in {num_lines:,} lines, such as {shorten(', '.join(found), 60)}: a label "
            f"is a class of many lines, at most {MOST_LABELS:,} are allowed; give another column as label"
        )


def default_max_length(lengths: NDArray[np.int64]) -> int:
    """The default maximum number of characters per line.

    The smallest of 256, 512 and 1024 that keeps nearly as many lines as 1024 does: a few outliers cannot set the
    context length, and neither can a single one.

    Args:
        lengths: Number of characters of a sample of lines, shape `(N,)`.
    """
    kept = [int((lengths <= limit).sum()) for limit in _MAX_LENGTHS]
    enough = max(1, kept[-1] - max(1, FEW * len(lengths)))
    return next((limit for limit, count in zip(_MAX_LENGTHS, kept, strict=True) if count >= enough), _MAX_LENGTHS[0])


def windows(line: str, size: int) -> list[str]:
    """Cut a line into pieces of about equal length.

    Args:
        line: The line.
        size: Maximum number of characters per piece.

    Example:
        >>> windows("MKVLAAGIV", 4)
        ['MKV', 'LAA', 'GIV']
    """
    size = -(-len(line) // -(-len(line) // size))
    pieces = (line[start : start + size].strip() for start in range(0, len(line), size))
    return list(filter(None, pieces))


def too_few_lines(path: str, num_lines: int, num_long: int, max_length: int) -> str:
    """What a file with too few lines looks like, and what to do."""
    return (
        f"{path} has too few lines: {num_lines:,} of at most max_length {max_length:,} characters, {num_long:,} "
        "longer; put one example (a sentence, a word) on each of several lines"
        f"{', or cut long lines with long_lines split' if num_long else ''}"
    )

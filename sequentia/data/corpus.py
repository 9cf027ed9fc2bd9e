"""Text file -> Corpus: every line of the data as one flat array of ids, and offsets into it."""

import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import IO, Any
from zipfile import ZipFile

import fsspec
import numpy as np
from fsspec.core import get_compression
from numpy.typing import NDArray

from sequentia.data.hashing import hash_lines
from sequentia.errors import UserError
from sequentia.vocabulary import BOUNDARY, CODE_POINTS, Vocabulary, smallest_unsigned

PACKAGED = {"names": "us-first-names-2018.txt"}
"""Data sets that come with the package: name -> file in sequentia/datasets."""

_LIMITS = (256, 512, 1024)  # lengths of a line up to which it is kept, see `usual_limit`
_BLOCK = 1 << 22  # bytes read at a time: what bounds the memory of the temporary arrays
_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])  # no white space lies beyond U+3000


@dataclass(frozen=True)
class Corpus:
    """All kept lines of one or more files.

    Attributes:
        vocabulary: The characters of all kept lines.
        ids: `boundary line boundary line ... boundary`, in the smallest integer type that holds the vocabulary.
        offsets: Line `i` is `ids[offsets[i] + 1 : offsets[i + 1]]`; `offsets[i]` is the boundary that starts it and
            `offsets[i + 1]` the one that ends it. Shape `(L + 1,)`.
        hashes: One 64-bit number a line, equal for equal lines; shape `(L,)`.
        files: Number of kept lines of each file; the lines stand in the files' order.
        blank: Lines dropped because nothing but white space was in them.
        long: Lines left out because they were longer than `max_length`.
        max_length: The most characters that a kept line may have.
    """

    vocabulary: Vocabulary
    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.unsignedinteger]
    hashes: NDArray[np.uint64]
    files: tuple[int, ...]
    blank: int
    long: int
    max_length: int

    def __len__(self) -> int:
        """Number of kept lines, `L`."""
        return len(self.hashes)

    def predicted(self, lines: NDArray[np.integer]) -> NDArray[np.int64]:
        """Number of predicted characters of each of `lines`, the end included: its length + 1."""
        return self.offsets[lines + 1].astype(np.int64) - self.offsets[lines].astype(np.int64)

    @property
    def characters(self) -> int:
        """Number of characters of all lines, without boundaries."""
        return len(self.ids) - len(self.offsets)

    @property
    def longest(self) -> int:
        """Number of characters of the longest line."""
        return int(np.diff(self.offsets).max()) - 1

    def line(self, index: int) -> str:
        """The text of one line."""
        return self.vocabulary.decode(self.ids[int(self.offsets[index]) + 1 : int(self.offsets[index + 1])])


def usual_limit(lengths: NDArray[np.int64]) -> int:
    """The most characters that a line may have where the user does not say.

    256, so that one freak line cannot set the context length; 512 or 1024 where most lines would be lost otherwise.

    Args:
        lengths: Characters of some lines, shape `(L,)`.
    """
    kept = (limit for limit in _LIMITS if 2 * (lengths <= limit).sum() >= len(lengths))
    return next(kept, _LIMITS[0])


def read_corpus(paths: list[str], *, max_length: int | None = None, nfc: bool = False) -> Corpus:
    r"""Read text files, one example a line.

    Lines end in `\n`, `\r\n` or `\r`. White space around a line is dropped, and so are lines of nothing else.

    Args:
        paths: A packaged data set's name, a file, or any URL that fsspec knows; compressed if its name says so.
        max_length: Longer lines (in characters) are left out and counted; `usual_limit` of the first unless given.
        nfc: Bring the text to Unicode's normal form C first, so that "e" + combining acute equals "é".

    Raises:
        UserError: A file cannot be read, is not UTF-8 text, or has no line to keep.
    """
    reader = _Reader(max_length)
    files = []
    for path in paths:
        before = reader.kept
        with open_data(path) as file:
            for block in _blocks(file, path):
                reader.add(unicodedata.normalize("NFC", block) if nfc else block)
        files.append(reader.kept - before)
        if files[-1] == 0:
            raise UserError(_nothing_kept(path, reader))
    return reader.corpus(tuple(files))


def _nothing_kept(path: str, reader: "_Reader") -> str:
    if reader.long:
        return (
            f"all {reader.long:,} lines of {path} are longer than data.max_length {reader.max_length}: "
            f"raise --data.max_length (the longest has {reader.longest_seen:,} characters)"
        )
    if reader.blank:
        return f"{path} has only blank lines: give a file with one example a line"
    return f"{path} is empty: give a file with one example a line"


def open_data(path: str) -> Any:
    """Open a packaged data set, a file or a URL for reading bytes, decompressed as its name says.

    Raises:
        UserError: There is no such file, or it cannot be opened.
    """
    if path in PACKAGED:
        return resources.files("sequentia.datasets").joinpath(PACKAGED[path]).open("rb")
    try:
        if get_compression(path, "infer") == "zip":
            return _only_member(ZipFile(fsspec.open(path, "rb").open()), path)
        return fsspec.open(path, "rb", compression="infer").open()
    except UserError:
        raise
    except FileNotFoundError as error:
        known = ", ".join(PACKAGED)
        raise UserError(f"no data file {path!r}: give a file, a URL, or a packaged data set ({known})") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a directory: give a file with one example a line") from error
    except Exception as error:  # fsspec's file systems raise errors of their own libraries
        raise UserError(f"cannot open {path}: {_reason(error)}") from error


def _only_member(archive: ZipFile, path: str) -> IO[bytes]:
    """The one file in a zip archive, opened."""
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise UserError(f"{path} holds {len(names)} files: give an archive of one, or the file itself")
    return archive.open(names[0])


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def read_lines(file: IO[bytes], name: str) -> Iterator[str]:
    """The lines of an open text file one by one, split and stripped as `read_corpus` does; blank ones are empty.

    Args:
        file: Where the bytes come from.
        name: What an error calls it.

    Raises:
        UserError: It cannot be read, or is not UTF-8 text.
    """
    for block in _blocks(file, name):
        for line in io.StringIO(block, newline=None):  # None: a line ends in \n, \r\n or \r
            yield line.strip()


def read_block(file: IO[bytes], name: str) -> bytes:
    """The next bytes of an open file; none at its end.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return file.read(_BLOCK)
    except Exception as error:  # a damaged archive, a broken connection
        raise UserError(f"cannot read {name}: {_reason(error)}") from error


def _blocks(file: IO[bytes], name: str) -> Iterator[str]:
    """The text of a file in blocks of whole lines."""
    rest = b""
    place = 0  # bytes already decoded, to say where an error lies
    while True:
        read = read_block(file, name)
        data = rest + read
        cut = data.rfind(b"\n") + 1 if read else len(data)
        if cut:
            text = _decode(data[:cut], name, place)
            yield text.removeprefix("\ufeff") if place == 0 else text
            place += cut
        if not read:
            return
        rest = data[cut:]


def _decode(data: bytes, path: str, place: int) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = " (it looks like gzip: name it .gz)" if place == 0 and data.startswith(b"\x1f\x8b") else ""
        raise UserError(f"{path} is not UTF-8 text: byte {place + error.start:,} is no character{hint}") from error
    nul = text.find("\0")
    if nul >= 0:
        offset = place + len(text[:nul].encode("utf-8"))
        raise UserError(f"{path} is not a text file: byte {offset:,} is NUL (binary data, or UTF-16: save it as UTF-8)")
    return text


class _Reader:
    """Gathers lines block by block, with ids in the order of first appearance, sorted at the end."""

    def __init__(self, max_length: int | None) -> None:
        self._given, self.max_length = max_length, max_length or _LIMITS[0]
        self.kept = self.blank = self.long = self.longest_seen = 0
        self._table = np.zeros(CODE_POINTS, np.uint32)  # code point -> id of first appearance, 0 if unseen
        self._codes: list[NDArray[np.uint32]] = []  # code points in the order of first appearance
        self._seen = 0
        self._ids: list[NDArray[np.unsignedinteger]] = []
        self._lengths: list[NDArray[np.unsignedinteger]] = []
        self._hashes: list[NDArray[np.uint64]] = []

    def add(self, text: str) -> None:
        """Take a block of whole lines."""
        codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        first, length = self._lines(codes)
        if self._given is None and self.kept + self.long == 0:
            self.max_length = usual_limit(length)
        self.longest_seen = max(self.longest_seen, int(length.max(initial=0)))
        fits = length <= self.max_length
        self.long += int((~fits).sum())
        first, length = first[fits], length[fits]
        if len(first) == 0:
            return
        starts = np.cumsum(length) - length
        codes = codes[np.arange(length.sum()) + np.repeat(first - starts, length)]
        self._learn(codes)
        ids = np.full(len(codes) + len(length), BOUNDARY, smallest_unsigned(self._seen))
        # The i-th character of the block moves right by one for each boundary up to and including its own line's.
        ids[np.arange(len(codes)) + np.repeat(np.arange(1, len(length) + 1), length)] = self._table[codes]
        self._ids.append(ids)
        self._lengths.append(length.astype(smallest_unsigned(self.max_length)))
        self._hashes.append(hash_lines(codes, length))
        self.kept += len(length)

    def _lines(self, codes: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First character and length of each line that is not blank; counts the blank ones."""
        newline = codes == ord("\n")
        breaks = newline | (codes == ord("\r"))
        ends = np.flatnonzero(breaks)
        begins = np.concatenate([[0], ends + 1])
        ends = np.append(ends, len(codes))
        # A carriage return with a newline behind it is one line end, not two; no line follows the last line end.
        pairs = int(np.count_nonzero(newline[1:] & (codes[:-1] == ord("\r"))))
        lines = len(begins) - pairs - int(begins[-1] == len(codes))
        is_text = ~_SPACE[np.minimum(codes, len(_SPACE) - 1)]
        text = np.flatnonzero(is_text)
        # Number of characters that are text before each place: where each line's own begin and end in `text`.
        before = np.concatenate([[0], np.cumsum(is_text)])
        begins, ends = before[begins], before[ends]
        has_text = begins < ends
        self.blank += lines - int(has_text.sum())
        first, last = text[begins[has_text]], text[ends[has_text] - 1]
        return first, last - first + 1

    def _learn(self, codes: NDArray[np.uint32]) -> None:
        present = np.zeros(CODE_POINTS, bool)
        present[codes] = True
        new = np.flatnonzero(present & (self._table == 0)).astype(np.uint32)
        self._table[new] = np.arange(self._seen + 1, self._seen + 1 + len(new), dtype=np.uint32)
        self._codes.append(new)
        self._seen += len(new)

    def corpus(self, files: tuple[int, ...]) -> Corpus:
        """Everything taken so far."""
        codes = np.concatenate(self._codes)
        order = np.argsort(codes)
        # First appearance -> place in the vocabulary; the boundary keeps its id.
        sorted_ids = np.zeros(len(codes) + 1, smallest_unsigned(len(codes)))
        sorted_ids[order + 1] = np.arange(1, len(codes) + 1)
        ids = np.zeros_like(sorted_ids, shape=sum(map(len, self._ids)) + 1)
        place = 0
        for block in self._ids:
            ids[place : place + len(block)] = sorted_ids[block]
            place += len(block)
        dtype = smallest_unsigned(len(ids))
        offsets = np.concatenate([np.zeros(1, dtype), *self._lengths]).astype(dtype, copy=False)
        offsets[1:] += 1  # each line takes its characters and one boundary
        np.cumsum(offsets, out=offsets)
        characters = codes[order].astype("<u4").tobytes().decode("utf-32-le")
        hashes = np.concatenate(self._hashes)
        return Corpus(Vocabulary(characters), ids, offsets, hashes, files, self.blank, self.long, self.max_length)

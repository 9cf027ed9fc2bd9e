"""Where data comes from: a packaged dataset, a local file or a URL, compressed or not, as bytes and as text."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib import resources
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import ZipFile

import fsspec
from fsspec.core import get_compression
from fsspec.utils import get_protocol

from sequentia.errors import UserError

PACKAGED = {"names": "us-first-names-2018.txt"}
"""Datasets that come with the package: name -> file in sequentia/datasets."""

_BLOCK = 1 << 22  # bytes per read, which bounds the memory of the temporary arrays
_LONG_LINE = 1 << 16  # bytes of a line from which on it is not worth a larger block
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")

Opener = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Opens the data file at a path for reading bytes."""


def open_data(path: str) -> Any:
    """Open a packaged dataset, a file or a URL for reading bytes, decompressed according to its extension.

    Raises:
        UserError: The file does not exist or cannot be opened.
    """
    if path in PACKAGED:
        return resources.files("sequentia.datasets").joinpath(PACKAGED[path]).open("rb")
    try:
        if not path:  # fsspec would open the working directory
            raise FileNotFoundError
        if get_compression(path, "infer") == "zip":
            return _only_member(ZipFile(fsspec.open(path, "rb").open()), path)
        return fsspec.open(path, "rb", compression="infer").open()
    except UserError:
        raise
    except FileNotFoundError as error:
        known = ", ".join(PACKAGED)
        raise UserError(f"no data file {path!r}: give a file, a URL, or a packaged dataset ({known})") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a directory: give a file with one example per line") from error
    except Exception as error:  # fsspec's filesystems raise errors of their own libraries
        raise UserError(f"cannot open {path}: {_reason(error)}") from error


@contextmanager
def download(paths: Iterable[str]) -> Iterator[Opener]:
    """Copy every remote file among `paths` to disk, so that it can be read repeatedly but is downloaded once.

    The copies are decompressed, and are deleted when the block ends. Local files and packaged datasets are not copied.

    Args:
        paths: Data files, as `open_data` takes them.

    Yields:
        A function like `open_data` that reads the copy if there is one.

    Raises:
        UserError: A file cannot be downloaded.
    """
    with ExitStack() as stack:
        copies: dict[str, IO[bytes]] = {}
        for path in paths:
            if path not in copies and not is_local(path):
                copies[path] = stack.enter_context(TemporaryFile())
                _copy(path, copies[path])

        def open_copy(path: str) -> AbstractContextManager[IO[bytes]]:
            if path not in copies:
                return open_data(path)
            copies[path].seek(0)
            return nullcontext(copies[path])  # stays open for the next reader

        yield open_copy


def is_local(path: str) -> bool:
    """Whether a path is a packaged dataset or a local file, rather than a URL."""
    return path in PACKAGED or get_protocol(path) in ("file", "local")


def _copy(path: str, copy: IO[bytes]) -> None:
    with open_data(path) as file:
        while block := read_block(file, path):
            try:
                copy.write(block)
            except OSError as error:
                raise UserError(
                    f"cannot download {path}: {error.strerror}; set TMPDIR to a directory with more free space"
                ) from error


def _only_member(archive: ZipFile, path: str) -> IO[bytes]:
    """Open the only file in a zip archive."""
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise UserError(f"{path} contains {len(names)} files: give an archive with one file, or the file itself")
    return archive.open(names[0])


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def read_block(file: IO[bytes], name: str) -> bytes:
    """Read the next bytes of an open file; empty at its end.

    Args:
        file: The open file.
        name: Its name in error messages.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        return file.read(_BLOCK)
    except Exception as error:  # a damaged archive, a broken connection
        raise UserError(f"cannot read {name}: {_reason(error)}") from error


def text_blocks(file: IO[bytes], name: str, *, whole_lines: bool = True) -> Iterator[str]:
    r"""Read an open text file in blocks that end at the end of a line or of the file.

    Lines end in `\n`, `\r\n` or `\r`. A line that does not end in the part of the file in which it begins may be a
    block of its own, so that a long line does not make its neighbors' block longer.

    Args:
        file: The open file.
        name: Its name in error messages.
        whole_lines: Without it, blocks end anywhere, so a file of a single line is several blocks.

    Raises:
        UserError: The file cannot be read, or is not UTF-8 text.
    """
    rest = bytearray()
    offset = 0  # of `rest` in the file, in bytes
    while True:
        read = read_block(file, name)
        begun = len(rest)
        rest += read
        ends = [_last_character(rest)] if not whole_lines else _line_ends(rest, begun)
        if not read:
            ends = [len(rest)]
        start = 0
        for end in ends:
            if end > start:
                text = _decode(rest[start:end], name, offset + start)
                yield text.removeprefix("\ufeff") if offset + start == 0 else text
                start = end
        del rest[:start]
        offset += start
        if not read:
            return


def _line_ends(data: bytearray, begun: int) -> list[int]:
    """Where to cut data after its last line end, and after its first line if that is long.

    Args:
        data: Bytes of the file.
        begun: Number of bytes before which no line ends, except that the last of them may be a carriage return.
    """
    # A carriage return at the end of the data may be the first half of a line end.
    last = max(data.rfind(b"\n", begun), data.rfind(b"\r", max(0, begun - 1), len(data) - 1)) + 1
    first = _LINE_END.search(data, begun - 1) if begun > _LONG_LINE else None
    return [last] if first is None else [first.end(), last]


def _last_character(data: bytes | bytearray) -> int:
    """A position that cuts no character of UTF-8 text in two: the end, or before a last character of several bytes."""
    for i in range(len(data) - 1, max(-1, len(data) - 5), -1):
        if data[i] < 0x80:  # one byte
            break
        if data[i] >= 0xC0:  # the first of several bytes
            return i
    return len(data)


def _decode(data: bytes | bytearray, name: str, offset: int) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = " (it looks like gzip: name it .gz)" if offset == 0 and data.startswith(b"\x1f\x8b") else ""
        raise UserError(f"{name} is not UTF-8 text: byte {offset + error.start:,} is invalid{hint}") from error
    nul = text.find("\0")
    if nul >= 0:
        offset += len(text[:nul].encode("utf-8"))
        raise UserError(f"{name} is not a text file: byte {offset:,} is NUL (binary data, or UTF-16: save it as UTF-8)")
    return text

"""The source of the lines: the files that a path means, and their bytes, whatever the compression."""

import glob
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import resources
from io import BytesIO
from typing import IO, Any, cast
from zipfile import BadZipFile, ZipFile

import fsspec
from fsspec.compression import compr
from fsspec.utils import get_protocol

from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.text import shorten

PACKAGED = {"names": "us-first-names-2018.txt"}
"""Datasets that come with the package: name -> file in sequentia/datasets."""

STDIN = "-"
"""The path of standard input."""

_MAGIC = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
    "zip": re.compile(rb"PK\x03\x04|PK\x05\x06"),
}
"""Compression -> the first bytes of a file."""

log = logging.getLogger(__name__)


def is_url(path: str) -> bool:
    """Whether a path is for another filesystem of fsspec's than the local one."""
    return get_protocol(path) not in ("file", "local")


def is_stream(path: str) -> bool:
    """Whether a path is stdin, a pipe or another file that can be read only once."""
    if path == STDIN or path.startswith(("/dev/stdin", "/dev/fd/", "/proc/")):
        return True
    return not is_url(path) and os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def is_packaged(path: str) -> bool:
    """Whether a path means a packaged dataset: a file of that name wins."""
    return path in PACKAGED and not os.path.isfile(path)


def expand(path: str | Sequence[str]) -> list[str]:
    """The data files that a path or a list of paths means.

    A pattern (`*`, `?`, `[...]`; `**` for directories of any depth) stands for the local files that match it, sorted by
    code point. Directories and names that begin with a dot do not match. A path to an existing file is never a
    pattern, and neither is a URL, where `?` starts a query.

    Args:
        path: One or several paths, each as `open_data` takes it, or a pattern.

    Raises:
        UserError: There is no path, a path is not a string, or a pattern matches no file.
    """
    paths = [path] if isinstance(path, str) else path
    if not isinstance(paths, Sequence) or not all(isinstance(each, str) for each in paths):
        raise UserError(f"a data path must be a string or a list of strings, got {str(path)[:40]!r}")
    if not paths:
        raise UserError("the list of data files is empty: give at least one file")
    return [file for each in paths for file in _matches(each)]


def _matches(path: str) -> list[str]:
    pattern = path.removeprefix("file://")
    if is_url(path) or not glob.has_magic(pattern) or os.path.exists(pattern):
        return [path]
    files = sorted(file for file in glob.glob(pattern, recursive=True) if not os.path.isdir(file))
    if not files:
        raise UserError(f"no data file matches {path!r}: give a pattern of existing files, a file, or a URL")
    return files


def shown(path: str | Sequence[str]) -> str:
    """One or several paths for a message: relative to the working directory below it; a long list is shortened.

    Example:
        >>> shown(["a.txt", "b.txt"])
        'a.txt, b.txt'
    """
    if not isinstance(path, str):
        return shorten(", ".join(map(shown, path)), 300)
    if path == STDIN:
        return "stdin"
    relative = path.removeprefix(os.getcwd() + os.sep)
    return f"./{relative}" if relative in PACKAGED and not is_packaged(path) else relative


@contextmanager
def open_data(path: str) -> Iterator[IO[bytes]]:
    """Open a packaged dataset, a file, a URL or stdin for reading bytes, decompressed according to its content.

    Yields:
        The open file, which can seek.

    Raises:
        UserError: The file does not exist, cannot be opened, or is an archive of several files.
    """
    with open_raw(path) as file, ExitStack() as held:
        try:
            content = _decompressed(file, path, held)
        except (OSError, EOFError, BadZipFile, RuntimeError) as error:  # damaged, or encrypted
            raise UserError(f"cannot read {path}: {reason(error)}") from error
        yield content


@contextmanager
def open_raw(path: str) -> Iterator[IO[bytes]]:
    """Open whatever `open_data` takes for reading its bytes as they are; the file can seek.

    Raises:
        UserError: The file does not exist or cannot be opened.
    """
    path = expanded(path)
    with ExitStack() as held:
        try:
            file = _seekable(held.enter_context(_open(path)))
        except Exception as error:  # fsspec's filesystems raise errors of their own libraries
            raise UserError(_why(path, error)) from error
        yield file


def _open(path: str) -> Any:
    """A file as a context manager; it may be unable to seek."""
    if path == STDIN:
        return nullcontext(sys.stdin.buffer)
    if is_packaged(path):
        return resources.files("sequentia.datasets").joinpath(PACKAGED[path]).open("rb")
    if is_url(path):
        return fsspec.open(path, "rb").open()
    return open(path.removeprefix("file://").removeprefix("local://"), "rb")  # fsspec would refuse a pipe


def _seekable(file: Any) -> IO[bytes]:
    """The file, or a copy in memory of a pipe, terminal or stream, which can be read only once."""
    if file.isatty():
        log.warning("reading lines from the terminal: press Ctrl-D after the last one")
    try:
        file.seek(0)
    except (OSError, ValueError):
        return BytesIO(file.read())
    return cast(IO[bytes], file)


def _decompressed(file: IO[bytes], path: str, held: ExitStack) -> IO[bytes]:
    """The file, or the content of a compressed file."""
    head = file.read(16)
    file.seek(0)
    kind = next((kind for kind, magic in _MAGIC.items() if magic.match(head)), None)
    if kind is None:
        return file
    if kind == "zip":
        archive = held.enter_context(ZipFile(file))
        members = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
        members = [name for name in members if not name.startswith("__MACOSX/")]
        if len(members) != 1:
            raise UserError(
                f"{path} is an archive of {len(members):,} files: give an archive with one text file, or the file"
            )
        return _decompressed(held.enter_context(archive.open(members[0])), path, held)
    if kind not in compr:
        raise UserError(f"{path} cannot be decompressed without zstandard: pip install zstandard")
    return _decompressed(held.enter_context(compr[kind](file, mode="rb")), path, held)


def _why(path: str, error: Exception) -> str:
    """The message about a file that cannot be opened."""
    if path == STDIN:
        return "stdin is closed: pipe lines into the command, or give a file"
    if isinstance(error, IsADirectoryError):
        return f"{path} is a directory: give a file with one example per line"
    # fsspec says "not found" whatever the server answers; the cause is what happened.
    if isinstance(error, FileNotFoundError) and error.__cause__ is None:
        return f"no data file {shown(path)!r}: give a file, a URL, or a packaged dataset ({', '.join(PACKAGED)})"
    if not is_url(path):
        return f"cannot open {path}: {reason(error)}"
    cause = error.__cause__ or error if isinstance(error, FileNotFoundError) else error
    return (
        f"cannot open {path}: {type(cause).__name__}: {reason(cause)}; check the address, or download the file yourself"
    )


def reason(error: BaseException) -> str:
    """The message of another library's error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__

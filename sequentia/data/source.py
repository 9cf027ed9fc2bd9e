"""A path -> the bytes of its file, whatever the filesystem and the compression."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from importlib import resources
from io import BytesIO
from typing import IO, Any, cast
from zipfile import ZipFile

import fsspec
from fsspec.compression import compr

from sequentia.data.paths import PACKAGED, STDIN, is_packaged, is_url, shown
from sequentia.errors import UserError

_MAGIC = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "bz2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd"),
    "zip": re.compile(rb"PK\x03\x04|PK\x05\x06"),
}
"""Compression -> the first bytes of a file."""


@contextmanager
def open_data(path: str, decompress: bool = True) -> Iterator[IO[bytes]]:
    """Open a packaged dataset, a file, a URL or stdin for reading bytes.

    Args:
        path: A path from `plain` or `expand`.
        decompress: Whether to decompress the file, according to its content.

    Yields:
        The open file, which can seek.

    Raises:
        UserError: The file does not exist, cannot be opened, or is an archive of several files.
    """
    with ExitStack() as held:
        try:
            file = _seekable(held.enter_context(_open(path)))
            if decompress:
                file = _decompressed(file, path, held)
        except UserError:
            raise
        except Exception as error:  # of a filesystem of fsspec's, or about a damaged or encrypted archive
            raise UserError(_why(path, error)) from error
        yield file


def _open(path: str) -> Any:
    """A file as a context manager; it may be unable to seek."""
    if path == STDIN:
        return nullcontext(sys.stdin.buffer)
    if is_packaged(path):
        return resources.files("sequentia.datasets").joinpath(PACKAGED[path][0]).open("rb")
    return fsspec.open(path, "rb").open() if is_url(path) else open(path, "rb")  # fsspec would refuse a pipe


def _seekable(file: Any) -> IO[bytes]:
    """The file, or a copy in memory of a pipe, terminal or stream, which can be read only once."""
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
    if path == STDIN and sys.stdin is None:
        return "stdin is closed: pipe lines into the command, or give a file"
    if isinstance(error, IsADirectoryError):
        return f"{shown(path)} is a directory: give a file with one example per line"
    # fsspec says "not found" whatever the server answers; the cause is what happened.
    if isinstance(error, FileNotFoundError) and error.__cause__ is None:
        return f"no data file {shown(path)!r}: give a file, a URL, or a packaged dataset ({', '.join(PACKAGED)})"
    cause = error.__cause__ or error
    remedy = "check the address, or download the file yourself" if is_url(path) else "check the file"
    return f"cannot open {shown(path)}: {type(cause).__name__}: {reason(cause)}; {remedy}"


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Report an error while a file is read, such as a damaged archive or a broken connection, under its name."""
    try:
        yield
    except Exception as error:  # of any library
        raise UserError(f"cannot read {name}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The message of another library's error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__

"""The source of the lines: the files that a path means, and their text, whatever the compression."""

import codecs
import glob
import io
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import chain
from typing import IO, Any
from zipfile import ZipFile

import fsspec
from fsspec.core import get_compression
from fsspec.utils import get_protocol

from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.text import shorten

PACKAGED = {"names": "us-first-names-2018.txt"}
"""Datasets that come with the package: name -> file in sequentia/datasets."""

_BLOCK = 1 << 22  # bytes per read, which bounds the memory of the temporary arrays


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
    return [file for each in paths for file in _matches(expanded(each))]


def _matches(path: str) -> list[str]:
    pattern = path.removeprefix("file://")
    is_url = get_protocol(path) not in ("file", "local")
    if is_url or not glob.has_magic(pattern) or os.path.exists(pattern):
        return [path]
    files = sorted(file for file in glob.glob(pattern, recursive=True) if not os.path.isdir(file))
    if not files:
        raise UserError(f"no data file matches {path!r}: give a pattern of existing files, a file, or a URL")
    return files


def shown(path: str | Sequence[str]) -> str:
    """One or several paths as given, for a message; a long list is shortened.

    Example:
        >>> shown(["a.txt", "b.txt"])
        'a.txt, b.txt'
    """
    return path if isinstance(path, str) else shorten(", ".join(path), 300)


def open_data(path: str) -> Any:
    """Open a packaged dataset, a file or a URL for reading bytes, decompressed according to its extension.

    Raises:
        UserError: The file does not exist or cannot be opened.
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
        raise UserError(f"no data file {path!r}: give a file, a URL, or a packaged dataset ({known})") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a directory: give a file with one example per line") from error
    except Exception as error:  # fsspec's filesystems raise errors of their own libraries
        raise UserError(f"cannot open {path}: {reason(error)}") from error


def _only_member(archive: ZipFile, path: str) -> IO[bytes]:
    """Open the only file in a zip archive."""
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise UserError(f"{path} contains {len(names)} files: give an archive with one file, or the file itself")
    return archive.open(names[0])


def reason(error: Exception) -> str:
    """The message of another library's error, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def line_blocks(file: IO[bytes], name: str) -> Iterator[list[str]]:
    r"""Read the lines of an open UTF-8 file, without their ends, in blocks that bound the memory.

    Lines end in `\n`, `\r\n` or `\r`, and the last line may have no end. A byte order mark is dropped.

    Args:
        file: The open file.
        name: Its name in error messages.

    Raises:
        UserError: The file cannot be read, or is not UTF-8 text.
    """
    # An invalid byte becomes a lone surrogate, so that `_check_text` knows in which line it is.
    utf8 = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
    decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
    rest, number = "", 1
    while True:
        try:
            data = file.read(_BLOCK)
        except Exception as error:  # a damaged archive, a broken connection
            raise UserError(f"cannot read {name}: {reason(error)}") from error
        text = rest + decoder.decode(data, final=not data)
        if not data:
            _check_text(text, name, number)
            if text:
                yield text.removesuffix("\n").split("\n")
            return
        text, end, rest = text.rpartition("\n")
        if end:
            _check_text(text, name, number)
            lines = text.split("\n")
            yield lines
            number += len(lines)


def _check_text(text: str, name: str, line: int) -> None:
    """Refuse invalid bytes and NUL characters; `line` is the number of the first line of `text`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        hint = " (it looks like gzip: name it .gz)" if line == 1 and text.startswith("\x1f\udc8b") else ""
        line += text.count("\n", 0, error.start)
        raise UserError(f"{name} is not UTF-8 text: line {line:,} has an invalid byte{hint}") from error
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise UserError(
            f"{name} is not a text file: line {line:,} has a NUL (binary data, or UTF-16: save it as UTF-8)"
        )


def read_lines(file: IO[bytes], name: str) -> Iterator[str]:
    """The lines of an open text file; see `line_blocks`."""
    return chain.from_iterable(line_blocks(file, name))

"""Paths -> data files: what a user gives, what it means, and what a run records so that it finds the files again."""

import glob
import os
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from fsspec.utils import get_protocol, infer_compression

from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.text import brief, shorten

if TYPE_CHECKING:
    Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
else:
    Paths = str | list[str]  # on the command line: a parser that may choose PathLike makes one text of a list

OPTIONS = ("path", "val_path", "test_path")
"""The options of the data that are paths."""

PACKAGED = {"names": ("us-first-names-2018.csv", "name")}
"""Datasets that come with the package: name -> table in sequentia/datasets, and the column of the examples."""

STDIN = "-"
"""The path of standard input."""

_LONGEST = 255  # characters of a name in a path: no filesystem allows more, but a URL may have more


def is_url(path: str) -> bool:
    """Whether a path is for another filesystem of fsspec's than the local one."""
    return get_protocol(path) not in ("file", "local")


def is_packaged(path: str) -> bool:
    """Whether a path means a packaged dataset: a file of that name wins."""
    return path in PACKAGED and not os.path.isfile(path)


def plain(paths: Any) -> Any:
    """The paths that a user gave, as text: one, a list of them, or None; a `file://` URL is the path of its file.

    Anything else is left as it is.

    Raises:
        UserError: A path is a text with several lines or very long, or in the home of an unknown user.

    Example:
        >>> from pathlib import Path
        >>> plain([Path("a.txt"), "b.txt"])
        ['a.txt', 'b.txt']
    """
    if isinstance(paths, list | tuple):
        return [plain(path) for path in paths]
    if not isinstance(paths, str | os.PathLike):
        return paths
    path = expanded(os.fspath(paths).removeprefix("file://").removeprefix("local://"))
    if len(path.splitlines()) > 1 or ("://" not in path and max(map(len, path.split(os.sep))) > _LONGEST):
        raise UserError(
            f"the data is a text of {len(path):,} characters, not a path: save it to a file, or give a list of its "
            "lines (text.splitlines())"
        )
    return path


def expand(paths: str | Sequence[str]) -> list[str]:
    """The data files that paths from `plain` mean.

    A pattern (`*`, `?`, `[...]`; `**` for directories of any depth) stands for the local files that match it, sorted by
    code point. Directories and names that begin with a dot do not match. A path to an existing file is never a
    pattern, and neither is a URL, where `?` starts a query.

    Raises:
        UserError: There is no path, a path is not a string, or a pattern matches no file.
    """
    given = [paths] if isinstance(paths, str) else paths
    if not isinstance(given, list) or not given or not all(isinstance(path, str) for path in given):
        raise UserError(f"the data must be a path or a list of paths, got {brief(paths)}: give at least one file")
    files = []
    for path in given:
        matches = [path]
        if _is_pattern(path):
            matches = sorted(file for file in glob.glob(path, recursive=True) if not os.path.isdir(file))
        if not matches:
            raise UserError(f"no data file matches {path!r}: give a pattern of existing files, a file, or a URL")
        files += matches
    return files


def located(paths: Any) -> Any:
    """The paths from `plain`, with absolute paths of local files: they find the same files from any directory."""
    if isinstance(paths, list):
        return [located(path) for path in paths]
    if not isinstance(paths, str) or not _is_local(paths):
        return paths
    here = glob.escape(os.getcwd()) if _is_pattern(paths) else os.getcwd()
    return os.path.normpath(os.path.join(here, paths))


def missing(paths: Any) -> str | None:
    """The first of the paths that is a local file that does not exist, or a pattern that matches none."""
    given = paths if isinstance(paths, list) else [paths]
    local = (path for path in given if isinstance(path, str) and _is_local(path))
    return next((path for path in local if not os.path.exists(path) and not glob.glob(path, recursive=True)), None)


def shown(paths: str | Sequence[str]) -> str:
    """Paths for a message: relative to the working directory below it; a long list is shortened.

    Example:
        >>> shown(["a.txt", "b.txt"])
        'a.txt, b.txt'
    """
    if not isinstance(paths, str):
        return shorten(", ".join(map(shown, paths)), 300)
    if paths == STDIN:
        return "stdin"
    relative = paths.removeprefix(os.getcwd() + os.sep)
    return f"./{relative}" if relative in PACKAGED and not is_packaged(paths) else relative


def suffix_of(path: str) -> str:
    """The suffix of a path or URL, which another suffix for the compression may follow; empty if it has none.

    Example:
        >>> suffix_of("names.CSV.gz"), suffix_of("https://a.org/names.jsonl?raw=1"), suffix_of("names")
        ('csv', 'jsonl', '')
    """
    name = PurePath(path.partition("?")[0] if "://" in path else path)
    if infer_compression(str(name)) is not None:
        name = name.with_suffix("")
    return name.suffix.lower().removeprefix(".")


def _is_pattern(path: str) -> bool:
    return not is_url(path) and glob.has_magic(path) and not os.path.exists(path)


def _is_local(path: str) -> bool:
    """Whether a path is that of local files: neither packaged data, nor a URL, nor stdin."""
    return not (is_packaged(path) or is_url(path) or path == STDIN)

"""Paths as given in the options (one or several, with patterns) -> the data files that they mean."""

import glob
import os
from collections.abc import Sequence

from sequentia.data.source import PACKAGED, is_local
from sequentia.errors import UserError

_SHOWN = 3  # paths of a list that messages name


def expand(path: str | Sequence[str]) -> list[str]:
    """The data files that a path or a list of paths means.

    A pattern (`*`, `?`, `[...]`; `**` for directories of any depth) stands for the local files that match it, sorted by
    code point. Directories and names that begin with a dot do not match. A path to an existing file is never a
    pattern, and neither is a URL, where `?` starts a query.

    Args:
        path: One or several paths, each as `open_data` takes it, or a pattern.

    Raises:
        UserError: There is no path, a path is no string, or a pattern matches no file.
    """
    paths = [path] if isinstance(path, str) else path
    if not isinstance(paths, Sequence) or not all(isinstance(each, str) for each in paths):
        raise UserError(f"a data path must be a string or a list of strings, got {str(path)[:40]!r}")
    if not paths:
        raise UserError("the list of data files is empty: give at least one file")
    return [file for each in paths for file in _matches(each)]


def _matches(path: str) -> list[str]:
    pattern = os.path.expanduser(path.removeprefix("file://"))
    if path in PACKAGED or not glob.has_magic(pattern) or not is_local(path) or os.path.exists(pattern):
        return [path]
    files = sorted(file for file in glob.glob(pattern, recursive=True) if not os.path.isdir(file))
    if not files:
        in_list = "; a pattern in a list must be in quotes" if path.startswith("[") else ""
        raise UserError(f"no data file matches {path!r}: give a pattern of existing files, a file, or a URL{in_list}")
    return files


def shown(path: str | Sequence[str]) -> str:
    """One or several paths as given, for a message; a long list is shortened.

    Example:
        >>> shown(["a.txt", "b.txt"])
        'a.txt, b.txt'
    """
    if isinstance(path, str):
        return path
    rest = f" and {len(path) - _SHOWN:,} more" if len(path) > _SHOWN else ""
    return ", ".join(path[:_SHOWN]) + rest

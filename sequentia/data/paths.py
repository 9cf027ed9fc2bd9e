"""The paths of the data: as a user gives them, and as a run records them so that it finds the files again."""

import glob
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sequentia.data.source import STDIN, is_packaged, is_url
from sequentia.errors import UserError
from sequentia.files import expanded

if TYPE_CHECKING:
    Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
else:
    Paths = str | list[str]  # on the command line: a parser that may choose PathLike makes one text of a list

OPTIONS = ("path", "val_path", "test_path")
"""The options of the data that are paths."""

_LONGEST = 255  # characters of a name in a path: no filesystem allows more, but a URL may have more


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


def located(paths: Any) -> Any:
    """The paths from `plain`, with absolute paths of local files: they find the same files from any directory."""
    if isinstance(paths, list):
        return [located(path) for path in paths]
    if not isinstance(paths, str) or not _is_local(paths):
        return paths
    is_pattern = glob.has_magic(paths) and not os.path.exists(paths)
    here = glob.escape(os.getcwd()) if is_pattern else os.getcwd()
    return os.path.normpath(os.path.join(here, paths))


def missing(paths: Any) -> str | None:
    """The first of the paths that is a local file that does not exist, or a pattern that matches none."""
    given = paths if isinstance(paths, list) else [paths]
    local = (path for path in given if isinstance(path, str) and _is_local(path))
    return next((path for path in local if not os.path.exists(path) and not glob.glob(path, recursive=True)), None)


def _is_local(path: str) -> bool:
    """Whether a path is that of local files: neither packaged data, nor a URL, nor stdin."""
    return not (is_packaged(path) or is_url(path) or path == STDIN)

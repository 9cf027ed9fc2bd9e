"""What all formats share: new files that overwrite nothing, and optional packages."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.version import DISTRIBUTION


@contextmanager
def creating(out: Path) -> Iterator[Path]:
    """A temporary path that is moved to `out` when the block succeeds; `out` must not exist yet, or be empty.

    Raises:
        UserError: `out` is a file or a directory with files in it, its parent directory does not exist, or it cannot
            be written.
    """
    if out.is_symlink() or out.exists():
        if not out.is_dir():
            raise UserError(f"{out} exists already: give another name")
        if any(out.iterdir()):
            raise UserError(f"the directory {out} is not empty: give another name")
    if not out.parent.is_dir():
        raise UserError(f"no directory {out.parent} to write {out.name} to: create it, or give another name")
    with replacing(out) as temporary:
        yield temporary


@contextmanager
def creating_file(out: Path) -> Iterator[Path]:
    """Like `creating`, for a file.

    Raises:
        UserError: See `creating`; or `out` is a directory.
    """
    if out.is_dir():
        raise UserError(f"{out} is a directory: give the name of a new file")
    with creating(out) as temporary:
        yield temporary


def optional_module(name: str) -> Any:
    """Import a module of the optional dependencies.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise UserError(f"this format needs the package {package}: pip install '{DISTRIBUTION}[export]'") from error

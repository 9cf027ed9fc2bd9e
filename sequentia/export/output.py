"""New files that overwrite nothing, and optional packages: the part that all formats share."""

import os
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.version import DISTRIBUTION


def creating(out: Path) -> AbstractContextManager[Path]:
    """A temporary path that is moved to `out` when the block succeeds.

    Raises:
        UserError: `out` exists, or cannot be written.
    """
    if os.path.lexists(out):
        raise UserError(f"{out} exists already: give another name")
    return replacing(out)


def optional_module(name: str) -> Any:
    """Import a module of the optional dependencies.

    Raises:
        UserError: The package is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise UserError(f"this format needs the package {package}: pip install '{DISTRIBUTION}[export]'") from error

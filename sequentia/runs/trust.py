"""Code that is not part of this package: it is imported only if the user has named its module."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pkgutil import resolve_name
from typing import Any
from unittest.mock import patch

from sequentia.errors import UserError
from sequentia.text import printable

_KNOWN = ("sequentia", "torch.optim", "lightning")
"""Modules whose classes a run's own configuration may always name."""


def trusted_modules(trust: str | Sequence[str]) -> tuple[str, ...]:
    """The modules that the user trusts, one or several. They may be in the working directory.

    Raises:
        UserError: A name is not a module name.
    """
    modules = (trust,) if isinstance(trust, str) else tuple(trust)
    for module in modules:
        if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
            shown = printable(str(module)[:80])
            raise UserError(f"trust {shown!r} is not the name of a module: give one such as my_module")
    if modules:
        search_working_directory()
    return modules


def is_trusted(name: str, trust: Sequence[str]) -> bool:
    """Whether a class or a module is in a module that the user trusts, or is that module.

    Example:
        >>> is_trusted("my_module.deep.Model", ["my_module"]), is_trusted("my_module2.Model", ["my_module"])
        (True, False)
    """
    return any(name == module or name.startswith(f"{module}.") for module in trust)


def import_trusted(name: str) -> Any:
    """The class with this import path, in a module that the user trusts.

    Raises:
        UserError: There is no such class.
    """
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, SyntaxError, ValueError) as error:
        raise not_imported(name, error) from error


def not_imported(name: str, error: Exception) -> UserError:
    """The one line about code of the user's that cannot be imported."""
    missing = isinstance(error, ModuleNotFoundError) and name.startswith(str(error.name))
    advice = "; run this where its module is, or set PYTHONPATH" if missing else ""
    return UserError(f"cannot import {printable(name[:80])}: {type(error).__name__}: {error}{advice}")


def remedy(name: str) -> str:
    """The remedy for a class that is not trusted, for the end of a message."""
    module = printable(name.rpartition(".")[0][:80])
    return f': if you trust the code of {module}, give --trust {module} (in Python trust=["{module}"])'


@contextmanager
def only_trusted(trust: Sequence[str]) -> Iterator[None]:
    """Let jsonargparse import classes of this package, torch.optim, lightning and trusted modules only.

    The options that a run recorded may come from a stranger, and there are many ways to name a class in them: a class
    path, a text that is YAML itself, the path of another config. So the import itself is refused. What another module
    has imported (`lightning.pytorch.cli.os`) counts as part of the module that defines it.

    Args:
        trust: Modules that the user trusts.
    """
    from jsonargparse import _common, set_parsing_settings

    with patch.dict(_common.parsing_settings):  # restores them: they are those of the whole process
        set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*_KNOWN, *trust])
        yield


def refusal(error: Exception) -> UserError | None:
    """The one line about a class that `only_trusted` refused; None if an error of jsonargparse has another cause."""
    match = re.search(r"Importing '([^']+)' is not allowed", str(error))
    return UserError(f"the options of the run name the class {match[1]}{remedy(match[1])}") if match else None


def is_class_path(text: str) -> bool:
    """Whether a text has the form of the import path of a class."""
    return "." in text and all(part.isidentifier() for part in text.split("."))


def foreign_classes(options: Any) -> Iterator[str]:
    """Texts that are probably paths of classes outside the known packages; for advice, not for safety."""
    if isinstance(options, dict):
        for key, value in options.items():
            if key not in ("data", "init_from", "ckpt_path", "default_root_dir"):
                yield from foreign_classes(value)
    elif isinstance(options, list):
        for value in options:
            yield from foreign_classes(value)
    elif isinstance(options, str) and is_class_path(options) and not is_trusted(options, _KNOWN):
        yield options


def search_working_directory() -> None:
    """Let modules of the working directory be imported, after all installed ones.

    The installed command does not look there. It does so only if the user names code: otherwise a directory from a
    stranger could run code by the names of its files.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())

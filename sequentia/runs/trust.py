"""Code that is not part of this package: it is imported only if the user has named its module."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pkgutil import resolve_name
from typing import Any

from sequentia.errors import UserError
from sequentia.text import printable

_KNOWN = ("sequentia", "torch.optim", "lightning")
"""What a run's own configuration may always name."""

_CLASS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def trusted_modules(trust: str | Sequence[str]) -> tuple[str, ...]:
    """The modules that the user trusts, one or several.

    Raises:
        UserError: One is not the name of a module.
    """
    modules = (trust,) if isinstance(trust, str) else tuple(trust)
    for module in modules:
        if not isinstance(module, str) or not all(part.isidentifier() for part in module.split(".")):
            shown = printable(str(module)[:80])
            raise UserError(f"--trust {shown!r} is not the name of a module: give one such as my_module")
    return modules


def is_trusted(name: str, trust: Sequence[str]) -> bool:
    """Whether a class or a module is in a module that the user trusts, or is that module.

    Example:
        >>> is_trusted("my_module.deep.Model", ["my_module"]), is_trusted("my_module2.Model", ["my_module"])
        (True, False)
    """
    return any(name == module or name.startswith(f"{module}.") for module in trust)


def import_trusted(name: str, trust: Sequence[str]) -> Any:
    """The class with this import path.

    Raises:
        UserError: Its module is not trusted, and was not imported; or there is no such class.
    """
    if not is_trusted(name, trust):
        raise UserError(f"{printable(name[:80])} is not part of sequentia{remedy(name)}")
    try:
        return resolve_name(name)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise UserError(
            f"cannot import {printable(name[:80])}: {error}; run this where its module is, or set PYTHONPATH"
        ) from error


def remedy(name: str) -> str:
    """What to do about a class that is not trusted, for the end of a message."""
    module = printable(name.rpartition(".")[0][:80])
    return f': if you trust the code of {module}, give --trust {module} (in Python trust=["{module}"])'


def is_class_path(text: str) -> bool:
    """Whether a text has the form of the import path of a class."""
    return _CLASS.fullmatch(text) is not None


def foreign_classes(options: dict[str, Any]) -> Iterator[str]:
    """What a parser could take for the path of a class outside of the known packages, in the options of a run."""
    for key, value in options.items():
        if key not in ("data", "init_from", "ckpt_path"):
            yield from (name for name in _class_paths(value) if not is_trusted(name, _KNOWN))


def _class_paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "default_root_dir":
                yield from _class_paths(item)
    elif isinstance(value, list):
        for item in value:
            yield from _class_paths(item)
    elif isinstance(value, str) and is_class_path(value.strip()):
        yield value.strip()


def search_working_directory() -> None:
    """Let modules of the working directory be imported, after all installed ones.

    The installed command does not look there. It does so only if the user names code: otherwise a directory from a
    stranger could run code by the names of its files.
    """
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())

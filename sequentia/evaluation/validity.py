"""The user's own check of texts, `--valid my_module:function`: found, called, and reported if it fails."""

from collections.abc import Callable, Iterable
from pkgutil import resolve_name

from sequentia.errors import UserError
from sequentia.runs.trust import search_working_directory
from sequentia.text import printable

_LONGEST = 60  # characters of a text in a message


def load_valid(name: str) -> Callable[[str], object]:
    """The function that `module:function` names; the module is in the current directory or installed.

    Raises:
        UserError: There is no such function.
    """
    module, _, function = name.partition(":")
    if not module or not function:
        raise UserError(f"--valid {name!r} is not of the form module:function")
    search_working_directory()
    try:
        found = resolve_name(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"--valid {name}: no module {error.name!r} in the current directory or installed; check its name"
            ) from error
        raise UserError(f"--valid {name}: the module needs {error.name!r}, which is not installed") from error
    except AttributeError as error:
        raise UserError(f"--valid {name}: the module {module} has no {function!r}; check its name") from error
    except ValueError as error:
        raise UserError(f"--valid {name!r} is not of the form module:function") from error
    except Exception as error:  # whatever the user's module raises
        raise UserError(f"--valid {name}: cannot import {module}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise UserError(f"--valid {name}: expected a function, got {type(found).__name__}")
    return found


def is_valid(valid: Callable[[str], object], text: str) -> bool:
    """Whether the user's function is true of a text.

    Raises:
        UserError: It fails.
    """
    try:
        return bool(valid(text))
    except Exception as error:
        shown = printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
        name = getattr(valid, "__name__", "the function")
        raise UserError(f"--valid: {name} fails on '{shown}': {type(error).__name__}: {error}") from error


def share_valid(valid: Callable[[str], object], texts: Iterable[str]) -> float:
    """Share of the texts that are valid; at least one text.

    Raises:
        UserError: The function fails on a text.
    """
    results = [is_valid(valid, text) for text in texts]
    return sum(results) / len(results)

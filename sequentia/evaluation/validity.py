"""The user's own check of texts, `--valid my_module:function`: found and imported."""

from collections.abc import Callable
from pkgutil import resolve_name

from sequentia.errors import UserError
from sequentia.runs.trust import not_imported, search_working_directory


def load_valid(name: str) -> Callable[[str], object]:
    """The function that `module:function` names; the module is in the current directory or installed.

    Raises:
        UserError: There is no such function.
    """
    module, _, function = name.partition(":")
    if module.endswith(".py"):
        raise UserError(f"{name!r} names a file, not a module: omit .py, as {module.removesuffix('.py')}:{function}")
    if not module or not function or "/" in module:
        raise UserError(
            f"{name!r} is not of the form module:function: give a module and a function of it, as my_module:valid"
        )
    search_working_directory()
    try:
        found = resolve_name(name)
    except Exception as error:  # whatever the user's module raises
        raise not_imported(name, error) from error
    if not callable(found):
        raise UserError(f"{name}: expected a function, got {type(found).__name__}")
    return found

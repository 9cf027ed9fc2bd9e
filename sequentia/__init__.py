"""Character-level language models: learn from a text file with one example per line, and generate more like them.

Example:
    model = sequentia.fit("brands.txt")
    model.sample(20, prompt="em", temperature=0.8)
    model.score(["emma", "olivia"])
    sequentia.evaluate(model)
    model = sequentia.load("checkpoints/transformer")
"""

import ast
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from sequentia.version import __version__ as __version__


def _modules(stub: str) -> dict[str, str]:
    """The public names of a stub, and the module of each."""
    tree = ast.parse((Path(__file__).parent / stub).read_text(encoding="utf-8"))
    imports = (statement for statement in tree.body if isinstance(statement, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names if alias.name != "*"}


# The names are listed once, in the stubs that editors and type checkers read. Listing them from the registry of
# architectures would import torch, which takes too long for `sequentia --help` or a completion of `sequentia.`.
_MODULES = _modules("__init__.pyi") | dict.fromkeys(_modules("models/__init__.pyi"), "sequentia.models")
__all__ = sorted(_MODULES.keys() - {"__version__"})  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'sequentia' has no attribute {name!r}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # Lightning imports tqdm's bar for notebooks
        module = import_module(_MODULES.get(name, "sequentia.models"))  # has the architectures that are not listed
    if not hasattr(module, name):
        raise AttributeError(f"module 'sequentia' has no attribute {name!r}")
    return getattr(module, name)


if "IPython" in sys.modules:
    import_module("sequentia.reporting.notebook").show_models()


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

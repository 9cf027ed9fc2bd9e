"""What is an architecture? One per file, all on one base class; defining one registers it."""

from importlib import import_module
from pkgutil import iter_modules

from sequentia.models.base import ARCHITECTURES, LanguageModel

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

globals().update(ARCHITECTURES)

__all__ = ["ARCHITECTURES", "LanguageModel", *ARCHITECTURES]

"""Character-level language models: learn from a text file with one example per line, and generate more like them."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sequentia.data import CharDataModule
    from sequentia.errors import UserError
    from sequentia.loading import load_model
    from sequentia.models import ARCHITECTURES, LanguageModel
    from sequentia.sampling import Sample, generate
    from sequentia.scoring import Score, score
    from sequentia.vocabulary import Vocabulary

DISTRIBUTION = "sequentia-lm"
"""The name to install; PyPI has another project called sequentia."""

__version__ = version(DISTRIBUTION)
__all__ = [
    "ARCHITECTURES",
    "CharDataModule",
    "LanguageModel",
    "Sample",
    "Score",
    "UserError",
    "Vocabulary",
    "generate",
    "load_model",
    "score",
]

_MODULES = {
    "ARCHITECTURES": "models",
    "CharDataModule": "data",
    "LanguageModel": "models",
    "Sample": "sampling",
    "Score": "scoring",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "generate": "sampling",
    "load_model": "loading",
    "score": "scoring",
}
"""Public name -> the submodule that defines it."""


def __getattr__(name: str) -> Any:
    # Names are imported on first use, so that `sequentia --help` does not wait seconds for torch.
    if name not in _MODULES:
        raise AttributeError(f"module 'sequentia' has no attribute {name!r}")
    return getattr(import_module(f"sequentia.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

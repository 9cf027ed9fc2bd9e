"""Character-level language models: a text file with one example a line in, more things like them out."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sequentia.checkpoint import load_model
    from sequentia.data import CharDataModule
    from sequentia.errors import UserError
    from sequentia.models import ARCHITECTURES, LanguageModel
    from sequentia.sampling import Sample, generate
    from sequentia.scoring import Score, score
    from sequentia.vocabulary import Vocabulary

__version__ = version("sequentia")
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

_HOME = {
    "ARCHITECTURES": "models",
    "CharDataModule": "data",
    "LanguageModel": "models",
    "Sample": "sampling",
    "Score": "scoring",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "generate": "sampling",
    "load_model": "checkpoint",
    "score": "scoring",
}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds, which `sequentia --help` must not pay for.
    if name not in _HOME:
        raise AttributeError(f"module 'sequentia' has no attribute {name!r}")
    return getattr(import_module(f"sequentia.{_HOME[name]}"), name)

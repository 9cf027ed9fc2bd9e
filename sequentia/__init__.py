"""Character-level language models: learn from a text file with one example per line, and generate more like them.

Example:
    model = sequentia.fit("brands.txt")
    model.sample(20, prompt="em", temperature=0.8)
    model.score(["emma", "olivia"])
    sequentia.evaluate(model)
    model = sequentia.load("checkpoints/transformer")
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sequentia.version import __version__ as __version__

if TYPE_CHECKING:
    from sequentia.api import fit
    from sequentia.data import CharDataModule
    from sequentia.errors import UserError
    from sequentia.evaluation.evaluate import evaluate
    from sequentia.inference.sampling import Sample, generate
    from sequentia.inference.scoring import Score, score
    from sequentia.models import (
        ARCHITECTURES,
        CNN,
        GRU,
        LSTM,
        MLP,
        RNN,
        BagOfWords,
        Bigram,
        BigramCounts,
        LanguageModel,
        Mixture,
        NGram,
        Transformer,
    )
    from sequentia.runs.checkpoint import load
    from sequentia.vocabulary import Vocabulary

__all__ = [  # a literal list, which type checkers and editors read
    "ARCHITECTURES",
    "CNN",
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "BagOfWords",
    "Bigram",
    "BigramCounts",
    "CharDataModule",
    "LanguageModel",
    "Mixture",
    "NGram",
    "Sample",
    "Score",
    "Transformer",
    "UserError",
    "Vocabulary",
    "evaluate",
    "fit",
    "generate",
    "load",
    "score",
]

_MODULES = {
    "CharDataModule": "data",
    "Sample": "inference.sampling",
    "Score": "inference.scoring",
    "UserError": "errors",
    "Vocabulary": "vocabulary",
    "evaluate": "evaluation.evaluate",
    "fit": "api",
    "generate": "inference.sampling",
    "load": "runs.checkpoint",
    "score": "inference.scoring",
}
"""Public name -> the submodule that defines it; all other public names are in `models`."""


def __getattr__(name: str) -> Any:
    # Names are imported on first use, so that `sequentia --help` does not wait seconds for torch.
    if name not in __all__:
        raise AttributeError(f"module 'sequentia' has no attribute {name!r}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # Lightning imports tqdm's bar for notebooks
        return getattr(import_module(f"sequentia.{_MODULES.get(name, 'models')}"), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})

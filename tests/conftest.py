"""What several tests share."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sequentia.data.corpus import Corpus, read_corpus
from sequentia.models import LanguageModel

NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "zoe", "li", "o"]
"""A few lines of different lengths, the shortest possible one among them."""

NAMES_TXT = Path(__file__).parents[2] / "shared" / "data" / "names.txt"
"""The file that reference figures are for; it is no part of the project."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tiny tensors gain nothing from threads, and several test processes side by side lose."""
    torch.set_num_threads(1)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write bytes or lines to a file; returns its path."""

    def write(content: bytes | list[str], name: str = "data.txt") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "".join(f"{x}\n" for x in content).encode())
        return str(path)

    return write


@pytest.fixture
def corpus(write: Callable[..., str]) -> Corpus:
    """The corpus of NAMES."""
    return read_corpus([write(NAMES)])


@pytest.fixture
def names_txt() -> str:
    """Path of names.txt.

    The figures of the worked example are for exactly this file, so nothing else can stand in for it.
    """
    if not NAMES_TXT.is_file():
        assert "CI" not in os.environ, f"CI must have {NAMES_TXT}"
        pytest.skip("needs names.txt beside the project, in ../shared/data")
    return str(NAMES_TXT)


@pytest.fixture
def off_start() -> Callable[[LanguageModel], LanguageModel]:
    """Move a model's weights off their initial values, some of which are zero; in double precision, for evaluation."""

    @torch.no_grad()
    def off_start(model: LanguageModel) -> LanguageModel:
        torch.manual_seed(1)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        return model.double().eval()

    return off_start


@pytest.fixture
def line() -> list[int]:
    """The tokens of a line over four characters, some of them twice, behind the boundary."""
    return [0, 3, 1, 1, 4, 2, 3, 4, 1]

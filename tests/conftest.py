"""Fixtures and helpers for several test files.

They import slow libraries when they are used: pytest reads this file before it starts the processes that run the tests.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sequentia.cli import main

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from sequentia.data.corpus import Corpus
    from sequentia.models import Bigram, LanguageModel

NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "zoe", "li", "o"]
"""A few lines of different lengths, one of them the shortest possible."""

NAMES_TXT = Path(__file__).parents[2] / "shared" / "data" / "names.txt"
"""The file that the reference numbers of the worked example are for; it is not part of the project."""


def bigram(table: list[list[float]], vocabulary: str) -> "Bigram":
    """A bigram with these probabilities; the row is the last token."""
    import torch

    from sequentia.models import Bigram

    model = Bigram(vocabulary, 16)
    (logits,) = model.parameters()
    with torch.no_grad():
        logits.copy_(torch.tensor(table).log())
    return model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Run PyTorch on one thread: threads do not speed up tiny tensors, and they slow down parallel test processes."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _no_pictures() -> Iterator[Callable[..., None]]:
    """They take longer to draw than a tiny model to train; the fixture `pictures` has them drawn."""
    from lightning.pytorch import Callback

    from sequentia.training.logs.tensorboard import TensorBoardSummary

    drawing = TensorBoardSummary.on_fit_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TensorBoardSummary, "on_fit_end", Callback.on_fit_end)
        yield drawing


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch, _no_pictures: Callable[..., None]) -> None:
    """Have a run draw its model when it ends."""
    monkeypatch.setattr("sequentia.training.logs.tensorboard.TensorBoardSummary.on_fit_end", _no_pictures)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Write bytes or lines to a file; returns its path."""

    def write(content: bytes | list[str], name: str = "data.txt") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else "".join(f"{x}\n" for x in content).encode())
        return str(path)

    return write


@pytest.fixture
def corpus(write: Callable[..., str]) -> "Corpus":
    """The corpus of NAMES."""
    from sequentia.data.corpus import read_corpus

    return read_corpus([write(NAMES)])


@pytest.fixture(scope="session")
def names_txt() -> str:
    """Path of makemore's names.txt; skips the test if the file is missing.

    The reference numbers are for exactly this file, so no other file can replace it.
    """
    if not NAMES_TXT.is_file():
        assert "CI" not in os.environ, f"{NAMES_TXT} is missing, and CI must not skip its tests"
        pytest.skip("put makemore's names.txt at ../shared/data/names.txt")
    return str(NAMES_TXT)


@pytest.fixture
def perturb() -> "Callable[[LanguageModel], LanguageModel]":
    """Add noise to all weights, some of which are initially zero; the result is in double precision, for evaluation."""
    import torch

    @torch.no_grad()
    def perturb(model: "LanguageModel") -> "LanguageModel":
        torch.manual_seed(1)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        return model.double().eval()

    return perturb


@pytest.fixture
def line() -> list[int]:
    """Tokens of a line of four different characters, most of them repeated, after the boundary token."""
    return [0, 3, 1, 1, 4, 2, 3, 4, 1]


class CommandResult(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


class _Terminal(io.TextIOWrapper):
    """A stdin that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    """Run `sequentia` with arguments; stdin is bytes, or a terminal if None."""

    def command(*arguments: object, stdin: bytes | None = b"") -> CommandResult:
        file = _Terminal(io.BytesIO()) if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
        monkeypatch.setattr(sys, "stdin", file)
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return CommandResult(code, *capsys.readouterr())

    return command


@pytest.fixture
def save_run(tmp_path: Path) -> Callable[..., Path]:
    """Save a model's checkpoint with a Trainer; returns the run directory."""
    from lightning.pytorch import Trainer

    def save_run(model: "LanguageModel", name: str = "version_0") -> Path:
        run = tmp_path / name
        trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
        trainer.strategy.connect(model)
        trainer.save_checkpoint(run / "best.ckpt")
        return run

    return save_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a bigram that `sequentia fit` trained for a few steps on NAMES."""
    home = tmp_path_factory.mktemp("trained")
    (home / "names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    config = Path(__file__).parents[1] / "configs" / "bigram.yaml"
    options = ["--data.path", f"{home}/names.txt", "--data.val_fraction", "0", "--data.test_fraction", "0"]
    options += ["--trainer.max_steps", "20", "--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(home)]
    assert main(["fit", "--config", str(config), *options]) == 0
    return home / "version_0"


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Chrome]":
    """A browser without a window, the same for all tests of a process."""
    from tests.browser import chromium

    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver

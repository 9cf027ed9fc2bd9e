"""What several tests share."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from lightning.pytorch import Trainer

from sequentia.cli import main
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.models import Bigram, LanguageModel

NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "zoe", "li", "o"]
"""A few lines of different lengths, the shortest possible one among them."""

NAMES_TXT = Path(__file__).parents[2] / "shared" / "data" / "names.txt"
"""The file that reference figures are for; it is no part of the project."""


def bigram(table: list[list[float]], vocabulary: str) -> Bigram:
    """The bigram with exactly these probabilities."""
    model = Bigram(vocabulary, 16)
    (logits,) = model.parameters()
    with torch.no_grad():
        logits.copy_(torch.tensor(table).log())
    return model


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


class Ended(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


class _Terminal(io.TextIOWrapper):
    """A stdin at which somebody sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Run `sequentia` with arguments, and with bytes or, if None, a terminal on stdin."""

    def command(*arguments: object, stdin: bytes | None = b"") -> Ended:
        file = _Terminal(io.BytesIO()) if stdin is None else io.TextIOWrapper(io.BytesIO(stdin))
        monkeypatch.setattr(sys, "stdin", file)
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return command


@pytest.fixture
def save_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a model's checkpoint as a Trainer does; returns the run directory."""

    def save_run(model: LanguageModel, name: str = "version_0") -> Path:
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
    # A process of its own: training sets up logging and seeds, which no other test shall feel.
    subprocess.run([sys.executable, "-m", "sequentia", "fit", "--config", str(config), *options], check=True)
    return home / "version_0"

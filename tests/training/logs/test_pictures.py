"""A run draws its trained model once, for every architecture, and drawing changes no bit of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sequentia.cli import main
from sequentia.training.logs.pictures import Pictures
from tests.conftest import NAMES
from tests.training.runs import same_checkpoints

ALWAYS = {"view/next_character", "view/nll_by_position", "view/calibration"}


@pytest.fixture
def fit(tmp_path: Path, write: Callable[..., str]) -> Callable[..., Path]:
    """Train on NAMES for a few steps; returns the run directory."""

    def fit(model: str, *options: str, name: str = "a") -> Path:
        arguments = [
            "--model",
            model,
            "--data.path",
            write(NAMES),
            "--data.val_path",
            write(["mila", "lia"], "val.txt"),
        ]
        arguments += ["--data.test_fraction", "0", "--trainer.max_steps", "3", "--trainer.accelerator", "cpu"]
        assert main(["fit", *arguments, "--trainer.default_root_dir", str(tmp_path / name), *options]) == 0
        return tmp_path / name / "version_0"

    return fit


def images(run: Path) -> dict[str, int]:
    """The pictures of a run and their steps; each is drawn once."""
    events = EventAccumulator(str(run)).Reload()
    found = {tag: events.Images(tag) for tag in events.Tags()["images"]}
    assert all(picture.encoded_image_string.startswith(b"\x89PNG") for (picture,) in found.values())
    return {tag: picture.step for tag, (picture,) in found.items()}


@pytest.mark.usefixtures("pictures")
@pytest.mark.parametrize("architecture", ["BigramCounts", "GRU", "Transformer"])
def test_every_model_is_drawn_at_the_last_step(fit: Callable[..., Path], architecture: str) -> None:
    expected = ALWAYS | ({"view/attention_1", "view/attention_2"} if architecture == "Transformer" else set())
    assert images(fit(architecture)) == dict.fromkeys(expected, 2)


@pytest.mark.usefixtures("pictures")
def test_without_validation_lines_or_with_many_characters_the_rest_is_left_out(
    fit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fit("Bigram", "--data.val_path", "null", "--data.val_fraction", "0")
    assert images(run).keys() == {"view/next_character"}
    monkeypatch.setattr("sequentia.training.logs.pictures.LARGEST", 5)
    assert images(fit("Bigram", name="b")).keys() == ALWAYS - {"view/next_character"}


@pytest.mark.usefixtures("pictures")
def test_without_extra_metrics_nothing_is_drawn(fit: Callable[..., Path]) -> None:
    assert images(fit("Bigram", "--extra_metrics", "false")) == {}


def test_drawing_changes_no_bit_of_the_run(fit: Callable[..., Path], request: pytest.FixtureRequest) -> None:
    options = ["--model.n_embd", "8", "--model.dropout", "0.1"]
    plain = fit("Transformer", *options)
    request.getfixturevalue("pictures")
    drawn = fit("Transformer", *options, name="b")
    assert images(plain) == {}
    assert images(drawn).keys() >= ALWAYS
    for name in ("best.ckpt", "last.ckpt"):
        same_checkpoints(plain / name, drawn / name)


@pytest.mark.usefixtures("pictures")
def test_a_model_whose_probabilities_are_nan_is_saved_and_not_drawn(
    fit: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = Pictures.on_fit_end

    def broken(self: Pictures, trainer: object, model: torch.nn.Module) -> None:
        with torch.no_grad():
            next(model.parameters()).fill_(torch.nan)
        draw(self, trainer, model)

    monkeypatch.setattr(Pictures, "on_fit_end", broken)
    run = fit("Bigram")
    assert images(run) == {}
    assert (run / "last.ckpt").is_file()
    assert "the model is not drawn: the model's probabilities are NaN" in capsys.readouterr().err

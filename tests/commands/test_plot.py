"""`sequentia plot` writes a complete image or nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sequentia.models import Bigram, BigramCounts, Transformer
from sequentia.reporting.curves import draw_curves
from sequentia.runs.history import read_history

Command = Callable[..., Any]


def test_the_image_is_complete_and_square(command: Command, trained: Path, tmp_path: Path) -> None:
    said = f"wrote {tmp_path}/a.png: pairs of {trained}/best.ckpt\n"
    assert command("plot", "--ckpt_path", trained, tmp_path / "a.png") == (0, "", said)
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert image.format == "PNG"
        assert image.width == image.height
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("what", ["embedding", "attention"])
def test_a_transformer_is_drawn_with_its_embedding_and_its_attention(
    command: Command, save_run: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    model = Transformer("ab", 4, n_layer=1, n_head=1, n_embd=4)
    run = save_run(model)
    said = f"wrote {tmp_path}/a.svg: {what} of {run}/best.ckpt\n"
    assert command("plot", "--ckpt_path", run, "--what", what, tmp_path / "a.svg") == (0, "", said)
    assert "<svg" in (tmp_path / "a.svg").read_text()
    refused = command("plot", "--ckpt_path", save_run(BigramCounts("ab", 4)), "--what", what, tmp_path / "b.svg")
    assert (refused.code, refused.err) == (2, f"sequentia: BigramCounts has no {what} to draw\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.txt", "a.txt is not the name of an image file: use the suffix .png, .svg or .pdf"),
        ("a", "a is not the name of an image file"),
        ("no/a.png", "cannot write"),
        ("/proc/a.png", "cannot write /proc/a.png"),  # a directory in which not even root may create files
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    command: Command, save_run: Callable[..., Path], tmp_path: Path, name: str, message: str
) -> None:
    ended = command("plot", "--ckpt_path", save_run(Bigram("ab", 4)), tmp_path / name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("sequentia: ")
    assert message in ended.err
    assert ended.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["version_0"]


def test_the_curves_are_those_of_the_run(command: Command, trained: Path, tmp_path: Path) -> None:
    history = read_history(trained)
    figure = draw_curves(history)
    (line,) = figure.axes[0].get_lines()
    assert line.get_label() == "training"
    assert np.asarray(line.get_xydata()).tolist() == [[step + 1, nll] for step, nll in history["train/loss"].items()]
    out = tmp_path / "a.svg"
    assert command("plot", "--what", "curves", "--ckpt_path", trained, out).err == f"wrote {out}: curves of {trained}\n"
    assert "<svg" in out.read_text()


def test_curves_of_many_or_single_or_infinite_points_are_drawn() -> None:
    history = {
        "train/loss": {step: 1e5 - step for step in range(10_000)} | {10_000: float("inf"), 10_001: float("nan")},
        "val/loss": {7: 2.5},
    }
    train, val = draw_curves(history).axes[0].get_lines()
    points = np.asarray(train.get_xydata())
    assert len(points) <= 1_001
    assert points[[0, -1]].tolist() == [[1, 1e5], [10_000, 1e5 - 9_999]]
    assert (np.asarray(val.get_xydata()).tolist(), val.get_marker()) == ([[8, 2.5]], "o")


def test_a_run_without_metrics_has_no_curves(command: Command, save_run: Callable[..., Path], tmp_path: Path) -> None:
    result = command("plot", "--what", "curves", "--ckpt_path", save_run(Bigram("ab", 4)), tmp_path / "a.png")
    assert (result.code, result.out) == (2, "")
    assert "has logged no loss" in result.err
    assert not (tmp_path / "a.png").exists()

"""The guessing curve counts the lines that are found."""

from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequentia.inference.ranks import Ranks
from sequentia.reporting.guessing import draw_guessing
from tests.conftest import bigram


def test_a_line_is_found_after_all_more_probable_ones() -> None:
    model = bigram([[0.5, 0.25, 0.25], [0.25, 0.0, 0.75], [1.0, 0.0, 0.0]], "ab")  # "" 1/2, b 1/4, ab 3/16, a 1/16
    (curve,) = draw_guessing({"pairs": model}, ["a", "", "b", "b", "c"]).axes[0].lines
    guesses, found = np.array(curve.get_data())
    assert guesses[:4].tolist() == pytest.approx([1, 2, 2, 4], rel=0.02)
    assert found[:4].tolist() == [0.2, 0.4, 0.6, 0.8]


def test_the_command_draws_the_models_curve_and_that_of_an_ngram(
    command: Callable[..., Any], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ranks, "__init__", partialmethod(Ranks.__init__, draws=1_000))  # of 100,000
    (tmp_path / "lines.txt").write_text("emma\nava\n")
    options = ("plot", "--ckpt_path", trained, "--what", "guessing", "--path", tmp_path / "lines.txt")
    said = f"wrote {tmp_path}/a.svg: guessing of {trained}/best.ckpt\n"
    assert command(*options, tmp_path / "a.svg") == (0, "", said)
    assert "n-gram" in (tmp_path / "a.svg").read_text()
    refused = command("plot", "--ckpt_path", trained, "--path", "lines.txt", tmp_path / "b.svg")
    assert (refused.code, refused.err) == (2, "sequentia: --path is for --what guessing: give both\n")

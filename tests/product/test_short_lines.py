"""Lines of one character (single hanzi, grades): nothing assumes a context of more than two positions."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.models import ARCHITECTURES
from sequentia.reporting.heatmap import next_probabilities


@pytest.mark.usefixtures("pictures")
def test_every_command_works_for_lines_of_one_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("\n".join("abcdefgh"))
    small = "--data.val_fraction 0.3 --trainer.accelerator cpu --model.n_layer 1 --model.n_head 2 --model.n_embd 8"
    for given in (
        f"fit --data.path short.txt --trainer.max_steps 2 {small}",
        "fit --ckpt_path last --trainer.max_steps 3",
        "sample --num_samples 3 --novel",
        "score --path short.txt --per_char",
        *(f"plot --what {what} {what}.png" for what in ("pairs", "embedding", "attention", "curves")),
        *(f"export --format {form} a.{form}" for form in ("gpt2", "onnx", "html")),
        "validate",
        "report --format html",
    ):
        assert command(*given.split()).code == 0, given


def test_every_architecture_gives_lines_of_one_character() -> None:
    for architecture in ARCHITECTURES.values():
        if not architecture.__module__.startswith("sequentia."):
            continue
        model = architecture("ab", 2)
        assert {len(text) for text in model.sample(20, seed=0, min_length=1, max_length=1)} == {1}
        assert all(score.nll < math.inf for score in model.score(["a", "b"])), architecture
        assert next_probabilities(model).sum(1).tolist() == pytest.approx([1, 1, 1])

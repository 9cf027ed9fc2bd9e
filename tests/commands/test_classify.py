"""`sequentia classify`, and labels in the other commands, on a model whose probabilities are known."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.models import Bigram
from tests.conftest import bigram

Command = Callable[..., Any]

TABLE = [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.25, 0.75]]
"""Probabilities of the end, a and b (columns) after the start, a, b, and the labels F and M (rows)."""


@pytest.fixture
def run(save_run: Callable[..., Path]) -> Path:
    """A run whose lines are a and b, two thirds of them with the label F."""
    model = Bigram({"characters": "ab", "labels": {"F": 2, "M": 1}}, 16)
    with torch.no_grad():
        model.logits.weight.copy_(torch.tensor(TABLE).log())
    return save_run(model)


def test_the_most_probable_label_comes_first(command: Command, run: Path) -> None:
    ended = command("classify", "--ckpt_path", run, "a", "b")
    rows = [("a", "F", 0.8), ("a", "M", 0.2), ("b", "F", 4 / 7), ("b", "M", 3 / 7)]
    assert ended.out == "text\tlabel\tprobability\n" + "".join(f"{t}\t{label}\t{p:.4f}\n" for t, label, p in rows)
    assert (ended.code, ended.err) == (0, "")


def test_top_keeps_the_first_labels_of_lines_of_a_file(command: Command, run: Path, write: Callable[..., str]) -> None:
    path = write(b"name;n\nb;1\na;2\n", "t.csv")
    ended = command("classify", "--ckpt_path", run, "--path", path, "--column", "name", "--top", 1)
    assert ended.out.splitlines()[1:] == ["b\tF\t0.5714", "a\tF\t0.8000"]


def test_a_text_that_no_label_can_produce_has_their_frequencies_and_a_warning(
    command: Command, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended = command("classify", "--ckpt_path", run, "x")
    assert ended.out.splitlines()[1:] == ["x\tF\t0.6667", "x\tM\t0.3333"]
    assert caplog.messages == ["1 of 1 texts cannot be classified: no label can produce them"]


def test_score_is_of_one_label_or_of_any(command: Command, run: Path) -> None:
    for options, p in ((["--label", "F"], 1 / 2), (["--label", "M"], 1 / 4), ([], 5 / 12)):
        assert command("score", "--ckpt_path", run, *options, "a").out.splitlines()[1] == f"a\t2\t{-math.log(p):.4f}"


def test_sample_prints_the_label_on_request(command: Command, run: Path) -> None:
    ended = command("sample", "--ckpt_path", run, "--seed", 1, "--num_samples", 30, "--show_label")
    assert {tuple(row.split("\t")) for row in ended.out.splitlines()} == {(k, t) for k in "FM" for t in "ab"}
    ended = command("sample", "--ckpt_path", run, "--num_samples", 9, "--show_label", "--label", "M", "--nll")
    assert {row.split("\t")[0] for row in ended.out.splitlines()} == {"M"}


@pytest.mark.parametrize(
    "arguments", [["sample", "--label", "m"], ["top", "--label", "m"], ["score", "--label", "m", "a"]]
)
def test_an_unknown_label_is_refused_with_the_one_that_is_meant(
    command: Command, run: Path, arguments: list[str]
) -> None:
    ended = command(*arguments, "--ckpt_path", run)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "sequentia: the model has no label 'm': use M\n"


def test_a_model_without_labels_says_so(command: Command, save_run: Callable[..., Path]) -> None:
    run = save_run(bigram([[0.5, 0.5], [1.0, 0.0]], "a"))
    for arguments in (["classify", "a"], ["sample", "--show_label"], ["sample", "--label", "F"]):
        ended = command(*arguments, "--ckpt_path", run)
        assert ended.code == 2
        assert "the model has no labels" in ended.err

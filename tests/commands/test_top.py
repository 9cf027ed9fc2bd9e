"""`sequentia top` prints the most probable lines, and only these, to stdout."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.commands import top
from tests.conftest import bigram


@pytest.fixture
def run(save_run: Callable[..., Path]) -> Path:
    """A run with four lines, "" to "ab\\t", of probabilities 0.5, 0.0625, 0.375 and 0.0625."""
    tab, a, b = [1.0, 0.0, 0.0, 0.0], [0.125, 0.0, 0.0, 0.875], [6 / 7, 1 / 7, 0.0, 0.0]
    return save_run(bigram([[0.5, 0.0, 0.5, 0.0], tab, a, b], "\tab"))


def test_lines_are_printed_in_the_order_of_probability(command: Callable[..., Any], run: Path) -> None:
    ended = command("top", "--ckpt_path", run, "--num_lines", 2, "--nll")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "\t0.6931\nab\t0.9808\n"


def test_conditions_and_escapes_are_those_of_sample_and_a_shortage_is_reported(
    command: Callable[..., Any], run: Path
) -> None:
    ended = command("top", "--ckpt_path", run, "--match", "a.*", "--valid", "builtins:len")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "found 3 of 20 lines: too few meet the conditions; lower --num_lines, or loosen them" in ended.err
    assert sorted(ended.out.splitlines()) == ["a", "ab", "ab\\t"]
    ended = command("top", "--ckpt_path", run, "--match", "b.*")
    assert (ended.code, ended.out) == (2, "")
    assert "found 0 of 20 lines" in ended.err


def test_a_search_that_takes_long_is_reported(
    command: Callable[..., Any], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "_SECONDS", 0.0)
    ended = command("top", "--ckpt_path", run, "--num_lines", 1, "--prompt", "ab", "--prompt", "a")
    assert (ended.code, ended.out) == (0, "ab\nab\n")
    assert re.fullmatch(r"looked at \d beginnings of lines\n", ended.err)

"""`sequentia sample` prints the requested number of lines from the model, and only these, to stdout."""

import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.inference import sampling
from sequentia.models import Transformer
from tests.conftest import bigram

Command = Callable[..., Any]


def lines(ended: Any) -> list[str]:
    """The lines that a command printed; it must have succeeded and written nothing to stderr."""
    assert ended.code == 0
    assert re.fullmatch(r"(1 in .* fits\n|\d+ of \d+ lines reached .* again\n)?", ended.err)
    assert ended.out == "" or ended.out.endswith("\n")
    return ended.out.split("\n")[:-1]


@pytest.fixture
def coin(save_run: Callable[..., Path]) -> Path:
    """A run whose model generates "a" or "b", each with probability 1/2."""
    return save_run(bigram([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], "ab"))


def test_num_samples_sets_the_number_of_lines_and_defaults_to_20(command: Command, trained: Path) -> None:
    assert len(lines(command("sample", "--ckpt_path", trained))) == 20
    assert len(lines(command("sample", "--ckpt_path", trained, "--num_samples", 7, "--batch_size", 3))) == 7
    assert lines(command("sample", "--ckpt_path", trained, "--num_samples", 0)) == []


def test_the_same_seed_gives_the_same_lines(command: Command, trained: Path) -> None:
    first, again, other = (command("sample", "--ckpt_path", trained, "--seed", seed) for seed in (1, 1, 2))
    assert lines(first) == lines(again) != lines(other)


def test_nll_follows_each_line_after_a_tab(command: Command, coin: Path) -> None:
    rows = lines(command("sample", "--ckpt_path", coin, "--nll", "--num_samples", 50))
    assert set(rows) == {f"{text}\t{math.log(2):.4f}" for text in "ab"}


def test_unique_prints_no_line_twice_and_reports_when_it_gives_up(
    command: Command, coin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sorted(lines(command("sample", "--ckpt_path", coin, "--unique", "--num_samples", 2))) == ["a", "b"]
    monkeypatch.setattr(sampling, "_PATIENCE", 300)
    ended = command("sample", "--ckpt_path", coin, "--unique", "--num_samples", 3)
    assert (ended.code, sorted(ended.out.split())) == (2, ["a", "b"])
    assert re.fullmatch(
        r"sequentia: found 2 of 3 lines in \d+ draws; 100% of the others are refused by unique, "
        r"as '[ab]': raise the temperature\n",
        ended.err,
    )


def test_valid_prints_only_lines_that_the_users_function_accepts(
    command: Command, coin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("sample_check.py").write_text(
        "def is_a(text):\n    return text == 'a'\n\ndef never(text):\n    return False\n"
    )
    options = ["sample", "--ckpt_path", coin, "--num_samples", 20]
    assert lines(command(*options, "--valid", "sample_check:is_a")) == ["a"] * 20
    monkeypatch.setattr(sampling, "_PATIENCE", 300)
    ended = command(*options, "--valid", "sample_check:never", "--unique")
    assert (ended.code, ended.out) == (2, "")
    assert "100% of the others are refused by valid, as" in ended.err
    ended = command(*options, "--valid", "sample_check:none")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot import sample_check:none: AttributeError" in ended.err


def test_novel_prints_no_training_line(command: Command, trained: Path) -> None:
    training = set((trained.parent / "names.txt").read_text().split())
    # With so few short lines to draw, some samples are training lines.
    options = ("--ckpt_path", trained, "--seed", 1, "--num_samples", 300, "--max_length", 2)
    assert training & set(lines(command("sample", *options)))
    assert not training & set(lines(command("sample", *options, "--novel")))


def test_novel_requires_the_data_that_the_run_was_trained_on(command: Command, trained: Path, tmp_path: Path) -> None:
    for name in ("best.ckpt", "config.yaml"):
        shutil.copy(trained / name, tmp_path)
    config = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(config.replace("names.txt", "other.txt"))
    ended = command("sample", "--ckpt_path", tmp_path, "--novel")
    assert (ended.code, ended.out) == (2, "")
    assert "novel needs the training data" in ended.err
    assert "other.txt" in ended.err
    (tmp_path / "config.yaml").unlink()
    ended = command("sample", "--ckpt_path", tmp_path, "--novel")
    assert (ended.code, ended.out) == (2, "")
    assert "config.yaml" in ended.err


@pytest.mark.parametrize(("line", "code", "says"), [("emma2", 2, "restore it"), ("emmaa", 0, "current lines")])
def test_novel_refuses_data_with_other_characters_and_reports_other_lines(
    command: Command, trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str, code: int, says: str
) -> None:
    shutil.copy(trained / "best.ckpt", tmp_path)
    config, names = (trained / "config.yaml").read_text(), trained.parent / "names.txt"
    (tmp_path / "config.yaml").write_text(config.replace(str(names), str(tmp_path / "names.txt")))
    (tmp_path / "names.txt").write_text(f"{names.read_text()}{line}\n")
    ended = command("sample", "--ckpt_path", tmp_path, "--novel")
    assert (ended.code, ended.out == "") == (code, code == 2)
    assert re.search(rf"names\.txt has changed .*{says}", ended.err + caplog.text)


def test_every_line_starts_with_the_prompt_and_obeys_the_length_limits(command: Command, trained: Path) -> None:
    options = ("--ckpt_path", trained, "--prompt", "em", "--min_length", 3, "--max_length", 5)
    printed = lines(command("sample", *options))
    assert len(printed) == 20
    for line in printed:
        assert line.startswith("em")
        assert 3 <= len(line) <= 5


def test_several_prompts_get_num_samples_lines_each(command: Command, coin: Path) -> None:
    options = ("sample", "--ckpt_path", coin, "--num_samples", 3)
    assert lines(command(*options, "--prompt", "b", "--prompt", "a")) == ["b"] * 3 + ["a"] * 3


def test_control_characters_are_escaped_unless_raw(command: Command, save_run: Callable[..., Path]) -> None:
    run = save_run(bigram([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], "\t\x1b"))
    assert lines(command("sample", "--ckpt_path", run, "--num_samples", 1)) == ["\\t\\x1b"]
    assert lines(command("sample", "--ckpt_path", run, "--num_samples", 1, "--raw")) == ["\t\x1b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "aé"], "does not know the character 'é'"),
        (["--prompt", "aba"], "the prompt 'aba' has 3 characters, more than max_length (2)"),
        (["--max_length", 4], "max_length must be between 1 and the model's limit of 3, got 4"),
        (["--min_length", 3], "min_length must be between 0 and max_length (2), got 3"),
        (["--temperature", -1], "temperature must be finite and at least 0, got -1.0"),
        (["--temperature", "hot"], "invalid float value: 'hot'"),
        (["--top_k", 0], "top_k must be at least 1, got 0"),
        (["--top_p", 1.5], "top_p must be above 0 and at most 1, got 1.5"),
        (["--batch_size", 0], "batch_size must be at least 1, got 0"),
        (["--num_samples", -1], "num_samples must be at least 0, got -1"),
        (["--seed", 2**64], "seed must be a 64-bit integer, got 18446744073709551616"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    command: Command, save_run: Callable[..., Path], arguments: list[object], message: str
) -> None:
    run = save_run(Transformer("ab", 4, n_layer=1, n_head=1, n_embd=4))
    ended = command("sample", "--ckpt_path", run, "--max_length", 2, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("sequentia: ")
    assert message in ended.err
    assert ended.err.count("\n") == 1

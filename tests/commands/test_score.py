"""`sequentia score` prints the model's probabilities in the order of the input, and only these, to stdout."""

import gzip
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sequentia.models import Transformer
from sequentia.reporting.shading import ansi, html
from sequentia.runs.checkpoint import load
from tests.conftest import bigram

Command = Callable[..., Any]

TABLE = [[0.5, 0.25, 0.25], [0.125, 0.0, 0.875], [1.0, 0.0, 0.0]]
"""Probabilities of the end, a and b (columns) after the start, a and b (rows)."""


@pytest.fixture
def run(save_run: Callable[..., Path]) -> Path:
    """A run whose model has the probabilities of TABLE."""
    return save_run(bigram(TABLE, "ab"))


def test_the_columns_are_text_chars_and_nll(command: Command, run: Path) -> None:
    ended = command("score", "--ckpt_path", run, "b", "ab", "")
    rows = [("b", 2, 0.25), ("ab", 3, 0.25 * 0.875), ("", 1, 0.5)]
    assert ended.out == "text\tchars\tnll\n" + "".join(f"{t}\t{n}\t{-math.log(p):.4f}\n" for t, n, p in rows)
    assert (ended.code, ended.err) == (0, "")


def test_per_char_prints_each_pair_with_its_probability(command: Command, run: Path) -> None:
    ended = command("score", "--ckpt_path", run, "--per_char", "ab", "")
    assert ended.out.splitlines() == [
        "text\tpair\tprob\tlogprob",
        "ab\t.a\t0.2500\t-1.3863",
        "ab\tab\t0.8750\t-0.1335",
        "ab\tb.\t1.0000\t0.0000",
        "\t..\t0.5000\t-0.6931",
    ]


def test_top_adds_the_most_probable_characters(command: Command, run: Path) -> None:
    rows = command("score", "--ckpt_path", run, "--per_char", "--top", 2, "aé").out.splitlines()
    assert rows == [
        "text\tpair\tprob\tlogprob\tmost_probable",
        "aé\t.a\t0.2500\t-1.3863\t. 0.5000 a 0.2500",
        "aé\taé\t0.0000\t-inf\tb 0.8750 . 0.1250",
        "aé\té.\t0.0000\t-inf\t",
    ]


def test_rank_counts_the_more_probable_lines_and_sort_puts_the_most_probable_first(command: Command, run: Path) -> None:
    rows = command("score", "--ckpt_path", run, "--rank", "--sort", "a", "aa", "b", "ab", "").out.splitlines()
    assert rows[0] == "text\tchars\tnll\trank\terror"
    table = [row.split("\t") for row in rows[1:]]  # of probability 1/2, 1/4, 7/32, 1/32 and 0
    assert [row[0] for row in table] == ["", "b", "ab", "a", "aa"]
    assert [round(float(row[3])) for row in table[:4]] == [0, 1, 2, 3]
    assert table[4][3:] == ["inf", "nan"]


def test_color_shades_improbable_characters_on_a_terminal_only(
    command: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (score,) = load(run).score(["a<é"])
    assert ansi(score) == "a\x1b[38;5;16;48;5;203m<\x1b[0m\x1b[38;5;16;48;5;203mé\x1b[0m"
    assert '<span title="0.00%" style="color:#000;background:#ff5f5f">&lt;</span>' in html(score)
    assert command("score", "--ckpt_path", run, "--color", "ab").out == command("score", "--ckpt_path", run, "ab").out


def test_impossible_texts_score_inf_and_are_counted_in_one_warning(command: Command, run: Path) -> None:
    ended = command("score", "--ckpt_path", run, "ab", "aa", "abé", "b")
    assert [row.split("\t")[2] for row in ended.out.splitlines()[1:]] == ["1.5198", "inf", "inf", "1.3863"]
    assert ended.err == (
        "2 of 4 texts score inf: the model cannot produce them (unknown characters, transitions of probability 0, or "
        "too long)\n"
    )
    assert ended.code == 0


def test_a_text_longer_than_the_context_scores_inf(command: Command, save_run: Callable[..., Path]) -> None:
    ended = command("score", "--ckpt_path", save_run(Transformer("ab", 4)), "aba", "abab")
    (_, fits), (_, longer) = (row.split("\t")[1:] for row in ended.out.splitlines()[1:])
    assert math.isfinite(float(fits))
    assert longer == "inf"
    assert ended.err.startswith("1 of 2 texts score inf")


@pytest.mark.parametrize("name", ["lines.txt", "lines.txt.gz"])
def test_the_lines_of_a_file_are_read_like_training_data(
    command: Command, run: Path, write: Callable[..., str], name: str
) -> None:
    content = b"\xef\xbb\xbfb\r\n  ab \n\n \t\nab\rb"
    path = write(gzip.compress(content) if name.endswith("gz") else content, name)
    ended = command("score", "--ckpt_path", run, "--path", path)
    assert [row.split("\t")[0] for row in ended.out.splitlines()[1:]] == ["b", "ab", "ab", "b"]


def test_stdin_is_read_if_neither_texts_nor_a_file_are_given(command: Command, run: Path) -> None:
    assert command("score", "--ckpt_path", run, stdin=b"b\nab\n") == command("score", "--ckpt_path", run, "b", "ab")
    assert command("score", "--path", "-", "--ckpt_path", run, stdin=b"b\n") == command(
        "score", "b", "--ckpt_path", run
    )
    assert command("score", "--ckpt_path", run, stdin=b"") == (0, "text\tchars\tnll\n", "")


def test_the_arguments_are_scored_before_the_file(command: Command, run: Path, write: Callable[..., str]) -> None:
    ended = command("score", "b", "--path", write(["ab"]), "--ckpt_path", run, "", stdin=b"a\n")
    assert [row.split("\t")[0] for row in ended.out.splitlines()[1:]] == ["b", "", "ab"]


def test_control_characters_are_escaped_unless_raw(command: Command, save_run: Callable[..., Path]) -> None:
    run = save_run(bigram([[0.5, 0.25, 0.25]] * 3, "\t\x1b"))
    nll = f"{-math.log(0.25 * 0.25 * 0.5):.4f}"
    assert command("score", "--ckpt_path", run, "\t\x1b").out.splitlines()[1] == f"\\t\\x1b\t3\t{nll}"
    assert command("score", "--ckpt_path", run, "--raw", "\t\x1b").out.splitlines()[1] == f"\t\x1b\t3\t{nll}"
    rows = command("score", "--ckpt_path", run, "--per_char", "\t").out.splitlines()[1:]
    assert rows == ["\\t\t.\\t\t0.2500\t-1.3863", "\\t\t\\t.\t0.5000\t-0.6931"]


def test_without_input_on_a_terminal_the_error_says_what_to_give(command: Command, run: Path) -> None:
    ended = command("score", "--ckpt_path", run, stdin=None)
    assert ended == (2, "", "sequentia: no texts: give a TEXT, --path FILE, or lines on stdin\n")


def test_a_text_that_is_not_valid_unicode_is_refused(command: Command, run: Path) -> None:
    ended = command("score", "--ckpt_path", run, "\ud800")
    assert (ended.code, "half a surrogate pair" in ended.err, ended.err.count("\n")) == (2, True, 1)


def test_decomposed_characters_match_a_vocabulary_of_composed_ones(
    command: Command, save_run: Callable[..., Path]
) -> None:
    run = save_run(bigram([[0.5, 0.5], [0.75, 0.25]], "\u00e9"))
    ended = command("score", "--ckpt_path", run, "e\u0301")
    assert ended.out.splitlines()[1] == f"\u00e9\t2\t{-math.log(0.5 * 0.75):.4f}"
    prompted = command("sample", "--ckpt_path", run, "--prompt", "e\u0301", "--num_samples", 3).out.splitlines()
    assert len(prompted) == 3
    assert all(line.startswith("\u00e9") for line in prompted)

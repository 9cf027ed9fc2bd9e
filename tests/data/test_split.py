"""Train, validation and test share no line; a line's side depends on the seed and the line alone."""

import logging
import random
from collections.abc import Callable

import numpy as np
import pytest

from sequentia.data import CharDataModule

WORDS = [a + b + c for a in "bcdfghjklm" for b in "aeiou" for c in ("n", "la", "rin", "tte", "")]  # 250


def sides(data: CharDataModule) -> dict[str, str]:
    """Side of each distinct line."""
    found: dict[str, str] = {}
    for side in ("train", "val", "test"):
        for i in getattr(data.split, side):
            line = data.corpus.line(int(i))
            assert found.setdefault(line, side) == side, f"{line} stands on two sides"
    return found


def test_every_line_stands_on_one_side(write: Callable[..., str]) -> None:
    data = CharDataModule(write(WORDS + WORDS[::3]))
    assert set(sides(data)) == set(WORDS)
    assert sum(len(getattr(data.split, side)) for side in ("train", "val", "test")) == len(WORDS) + len(WORDS[::3])


def test_adding_shuffling_and_repeating_lines_moves_no_old_line(write: Callable[..., str]) -> None:
    old = sides(CharDataModule(write(WORDS)))
    more = [*WORDS, *(word + "x" for word in WORDS), *WORDS[:50]]
    random.Random(0).shuffle(more)
    new = sides(CharDataModule(write(more, "more.txt")))
    assert {word: new[word] for word in WORDS} == old


def test_another_seed_gives_another_split(write: Callable[..., str]) -> None:
    path = write(WORDS)
    assert sides(CharDataModule(path, seed=0)) == sides(CharDataModule(path, seed=0, batch_size=7))
    assert sides(CharDataModule(path, seed=0)) != sides(CharDataModule(path, seed=1))


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.3, 0.05), (0.0, 0.5), (0.0, 0.0)])
def test_the_fractions_hold_on_average(write: Callable[..., str], val: float, test: float) -> None:
    lines = [f"{i:05d}" for i in range(20_000)]
    split = CharDataModule(write(lines), val_fraction=val, test_fraction=test).split
    for got, share in ((split.val, val), (split.test, test)):
        deviation = (len(lines) * share * (1 - share)) ** 0.5
        assert abs(len(got) - len(lines) * share) <= 4 * deviation


def test_deduplicate_keeps_the_first_of_equal_lines(write: Callable[..., str]) -> None:
    data = CharDataModule(write([*WORDS, *reversed(WORDS)]), deduplicate=True)
    kept = np.sort(np.concatenate([data.split.train, data.split.val, data.split.test]))
    assert kept.tolist() == list(range(len(WORDS)))


def test_ready_made_sides_are_used_as_they_are_and_shared_lines_counted(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    data = CharDataModule(write(["emma", "ava"]), val_path=write(["mia", "ava"], "v"), test_path=write(["zoe"], "t"))
    with caplog.at_level(logging.INFO, "sequentia"):
        data.setup("fit")
    texts = [[data.corpus.line(int(i)) for i in lines] for lines in (data.split.train, data.split.val, data.split.test)]
    assert texts == [["emma", "ava"], ["mia", "ava"], ["zoe"]]
    assert "1 distinct lines stand on two sides" in caplog.text
    assert "5 lines (4 distinct), 16 characters, longest line 4" in caplog.text
    assert "train 2, val 2, test 1" in caplog.text


def test_what_is_dropped_is_counted_and_told(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    data = CharDataModule(write(["emma", "", " ", "x" * 9, "ava"]), max_length=8, val_fraction=0, test_fraction=0)
    with caplog.at_level(logging.INFO, "sequentia"):
        data.setup("fit")
    assert "left out: 2 blank lines, 1 longer than data.max_length 8" in caplog.text
    assert data.sides(["emma", "noa", "ava", ""]) == ["train", "new", "train", "new"]

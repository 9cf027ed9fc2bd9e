"""Splits share no line, and the split of a line depends only on the line and the seed."""

import logging
import random
from collections.abc import Callable

import numpy as np
import pytest

from sequentia.data import CharDataModule
from sequentia.data.hashing import contains, distinct
from sequentia.errors import UserError

WORDS = [a + b + c for a in "bcdfghjklm" for b in "aeiou" for c in ("n", "la", "rin", "tte", "")]  # 250


def split_of_lines(data: CharDataModule) -> dict[str, str]:
    """The split of each distinct line."""
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        for i in getattr(data.split, split):
            line = data.corpus.line(int(i))
            assert found.setdefault(line, split) == split, f"{line} appears in two splits"
    return found


def test_each_line_is_in_exactly_one_split(write: Callable[..., str]) -> None:
    data = CharDataModule(write(WORDS + WORDS[::3]))
    assert set(split_of_lines(data)) == set(WORDS)
    assert sum(len(getattr(data.split, split)) for split in ("train", "val", "test")) == len(WORDS) + len(WORDS[::3])


def test_adding_shuffling_and_repeating_lines_moves_no_line_to_another_split(write: Callable[..., str]) -> None:
    old = split_of_lines(CharDataModule(write(WORDS)))
    more = [*WORDS, *(word + "x" for word in WORDS), *WORDS[:50]]
    random.Random(0).shuffle(more)
    new = split_of_lines(CharDataModule(write(more, "more.txt")))
    assert {word: new[word] for word in WORDS} == old


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.1), (0.3, 0.05), (0.0, 0.5), (0.0, 0.0)])
def test_split_sizes_are_within_4_standard_deviations_of_the_fractions(
    write: Callable[..., str], val: float, test: float
) -> None:
    lines = [f"{i:05d}" for i in range(20_000)]
    split = CharDataModule(write(lines), val_fraction=val, test_fraction=test).split
    for got, fraction in ((split.val, val), (split.test, test)):
        deviation = (len(lines) * fraction * (1 - fraction)) ** 0.5
        assert abs(len(got) - len(lines) * fraction) <= 4 * deviation


def test_deduplicate_keeps_the_first_of_equal_lines(write: Callable[..., str]) -> None:
    data = CharDataModule(write([*WORDS, *reversed(WORDS)]), deduplicate=True)
    kept = np.sort(np.concatenate([data.split.train, data.split.val, data.split.test]))
    assert kept.tolist() == list(range(len(WORDS)))


def test_ready_made_splits_are_unchanged_and_their_shared_lines_are_reported(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    data = CharDataModule(write(["emma", "ava"]), val_path=write(["mia", "ava"], "v"), test_path=write(["zoe"], "t"))
    with caplog.at_level(logging.INFO, "sequentia"):
        data.setup("fit")
    texts = [[data.corpus.line(int(i)) for i in lines] for lines in (data.split.train, data.split.val, data.split.test)]
    assert texts == [["emma", "ava"], ["mia", "ava"], ["zoe"]]
    assert "1 distinct lines are in an earlier split, too: the metrics are too optimistic" in caplog.text
    assert "5 lines (4 distinct), 16 characters, longest line 4" in caplog.text
    assert "train 2, val 2, test 1" in caplog.text


def test_splits_of_gives_the_split_that_has_the_text_and_training_first(write: Callable[..., str]) -> None:
    data = CharDataModule(
        write(["emma", "ava"]), val_path=write(["mia", "ava", "zoe"], "v"), test_path=write(["zoe", "li"], "t")
    )
    texts = ["emma", "mia", "li", "ava", "zoe", "emm", "emmaa", "", "noa"]
    assert data.splits_of(texts) == ["train", "val", "test", "train", "val", "new", "new", "new", "new"]
    assert data.splits_of([]) == []


def test_a_hash_is_found_among_distinct_ones_as_by_numpy() -> None:
    hashes, wanted = (np.random.default_rng(seed).integers(0, 50, 40).astype(np.uint64) for seed in (0, 1))
    assert distinct(hashes).tolist() == sorted(set(hashes.tolist()))
    assert contains(distinct(hashes), wanted).tolist() == np.isin(wanted, hashes).tolist()
    assert contains(distinct(hashes[:0]), wanted[:3]).tolist() == [False] * 3


def test_an_empty_validation_or_test_split_is_reported(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    data = CharDataModule(write(["emma", "ava"]), val_fraction=1e-9, test_fraction=1e-9)
    data.setup("fit")
    assert "the validation split is empty: too few lines" in caplog.text
    assert "the test split is empty: too few lines" in caplog.text
    assert data.val_dataloader() == []
    assert data.test_dataloader() == []
    caplog.clear()
    CharDataModule(write(["emma", "ava"]), val_fraction=0, test_fraction=0).setup("fit")
    assert caplog.text == ""


def test_an_empty_training_split_is_refused(write: Callable[..., str]) -> None:
    data = CharDataModule(path := write(["emma", "ava", "ava"]), val_fraction=1 - 1e-9, test_fraction=0)
    with pytest.raises(
        UserError, match=f"the training split is empty: {path} has only 2 different lines; add lines, or hold out none"
    ):
        data.split  # noqa: B018


def test_the_split_of_a_line_is_a_fixed_function_of_line_and_seed(write: Callable[..., str]) -> None:
    """SplitMix64 in Python integers: a change of the hash would mix training and test lines of earlier runs."""
    golden, mask = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    def uniform(line: str, seed: int) -> float:
        terms = (mix(((i << 21 | ord(c)) * golden + golden) & mask) for i, c in enumerate(line))
        return (mix(mix(sum(terms) & mask) ^ mix((seed * golden + golden) & mask)) >> 11) * 2.0**-53

    data = CharDataModule(write([*WORDS, "zoë", "\U0010ffff"]), seed=7, val_fraction=0.3, test_fraction=0.2)
    for line, split in split_of_lines(data).items():
        u = uniform(line, 7)
        assert split == ("test" if u < 0.2 else "val" if u < 0.5 else "train"), line

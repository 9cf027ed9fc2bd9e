"""Texts are found among the lines of the data, exactly or within one edit."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequentia.data import CharDataModule
from sequentia.data import membership as module
from sequentia.data.corpus import Corpus
from sequentia.data.hashing import hash_texts, one_edit_hashes
from sequentia.data.membership import Membership
from sequentia.data.split import Split
from sequentia.vocabulary import Vocabulary, code_points
from tests.conftest import NAMES

TEXTS = st.lists(st.text("abc😀", max_size=6), max_size=8)


def distance(a: str, b: str) -> int:
    """Levenshtein distance (Wagner & Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def all_edits(text: str, alphabet: str) -> list[str]:
    parts = [(text[:i], text[i:]) for i in range(len(text) + 1)]
    deleted = [a + b[1:] for a, b in parts if b]
    replaced = [a + c + b[1:] for a, b in parts if b for c in alphabet]
    return deleted + replaced + [a + c + b for a, b in parts for c in alphabet]


@given(TEXTS)
def test_the_hashes_of_all_one_edit_variants_are_those_of_the_edited_texts(texts: list[str]) -> None:
    lengths = np.array([len(text) for text in texts], np.int64)
    hashes, index = one_edit_hashes(code_points("".join(texts)), lengths, code_points("ab😀"))
    for i, text in enumerate(texts):
        edits = [edit for edit in all_edits(text, "ab😀") if edit]
        expected = sorted(hash_texts(edits).tolist() + [0] * (len(text) == 1))  # the empty text is no line
        assert sorted(hashes[index == i].tolist()) == expected


@given(TEXTS)
def test_a_text_is_near_if_its_levenshtein_distance_to_a_training_line_is_at_most_1(texts: list[str]) -> None:
    lines = ["a", "abc", "acb", "bcab😀", "ccccc"]
    hashes, nothing = hash_texts(lines), np.zeros(0, int)
    corpus = Corpus(Vocabulary("abc😀"), nothing, nothing, hashes, (5,), 0, 0, 0, 256)
    near = Membership(corpus, Split(np.arange(4), np.array([4]), nothing)).near_training(texts)
    assert near == [any(distance(text, line) <= 1 for line in lines[:4]) for text in texts]


def test_the_result_does_not_depend_on_how_many_edits_are_looked_up_together(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = CharDataModule(write(NAMES), val_fraction=0, test_fraction=0)
    texts = ["emma", "ema", "eva", "zoey", "x", "", "sofia", "lisa", "o"]
    expected = [True, True, True, True, True, True, False, False, True]
    assert data.membership.near_training(texts) == expected
    assert sum(data.membership.num_edits(text) for text in texts) > 100
    monkeypatch.setattr(module, "_EDITS", 100)
    assert data.membership.near_training(texts) == expected
    assert data.membership.near_training([]) == []

"""Texts are found among the lines of the data, exactly or within one edit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sequentia.data.corpus import Corpus
from sequentia.data.hashing import hash_texts
from sequentia.data.membership import Membership
from sequentia.data.split import Split
from sequentia.vocabulary import Vocabulary


def distance(a: str, b: str) -> int:
    """Levenshtein distance (Wagner & Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@given(st.lists(st.text("abc😀", max_size=6), max_size=8))
def test_a_text_is_near_if_its_levenshtein_distance_to_a_training_line_is_at_most_1(texts: list[str]) -> None:
    lines = ["a", "abc", "acb", "bcab😀", "ccccc"]
    hashes, nothing = hash_texts(lines), np.zeros(0, int)
    corpus = Corpus(Vocabulary("abc😀"), nothing, nothing, hashes, hashes, (5,), 0, 0, 256)
    near = Membership(corpus, Split(np.arange(4), np.array([4]), nothing)).near_training(texts)
    assert near == [any(distance(text, line) <= 1 for line in lines[:4]) for text in texts]

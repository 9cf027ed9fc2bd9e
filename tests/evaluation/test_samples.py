"""Metrics of samples against values computed by hand or in plain Python."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequentia.data import CharDataModule
from sequentia.evaluation import samples as module
from sequentia.evaluation.samples import Counts, SampleQuality, bigram_divergence, length_distance

INTEGERS = st.lists(st.integers(0, 30), min_size=1, max_size=30)


def counts(values: list[int]) -> Counts:
    return np.unique(values, return_counts=True)


@given(INTEGERS, INTEGERS)
def test_the_length_distance_is_the_mean_difference_of_sorted_lengths(a: list[int], b: list[int]) -> None:
    # Repeated to equal numbers, the k-th shortest of one corresponds to the k-th shortest of the other.
    pairs = zip(sorted(a * len(b)), sorted(b * len(a)), strict=True)
    expected = sum(abs(x - y) for x, y in pairs) / (len(a) * len(b))
    assert length_distance(counts(a), counts(b)) == pytest.approx(expected, abs=1e-12)


@given(INTEGERS, INTEGERS)
def test_the_bigram_divergence_is_the_mean_divergence_from_the_average_in_bits(a: list[int], b: list[int]) -> None:
    p, q = ({key: count / len(x) for key, count in Counter(x).items()} for x in (a, b))
    expected = 0.0
    for one in (p, q):
        for key, probability in one.items():
            mean = (p.get(key, 0) + q.get(key, 0)) / 2
            expected += probability * math.log2(probability / mean) / 2
    assert bigram_divergence(counts(a), counts(b)) == pytest.approx(expected, abs=1e-12)


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    return CharDataModule(
        write(["anna", "ben", "ben", "carl"]), write(["dana", "eve"], "val.txt"), write(["anna", "fred"], "test.txt")
    )


def test_the_metrics_equal_the_values_counted_by_hand(data: CharDataModule) -> None:
    texts = ["anna", "anna", "anne", "dana", "fred", "ben", "bend", "rafa"]
    samples = SampleQuality(texts, data, "val")
    assert samples.unique == 7 / 8
    # anna, also a test line, counts in the first split; anne, dana, fred, bend and rafa are novel.
    assert [samples.in_split(split) for split in ("train", "val", "test", "new")] == [3 / 8, 1 / 8, 1 / 8, 3 / 8]
    assert samples.near_copies == 2 / 5  # anne and bend
    # 7 samples of 4 characters and one of 3, two lines of 4 and 3: the quantiles differ between 1/8 and 1/2.
    assert samples.length_distance == 3 / 8
    bigrams = Counter(x[i : i + 2] for x in [f".{line}." for line in texts] for i in range(len(x) - 1))
    held_out = Counter(x[i : i + 2] for x in (".dana.", ".eve.") for i in range(len(x) - 1))
    names = sorted({*bigrams, *held_out})
    divergence = bigram_divergence(
        counts([names.index(x) for x in bigrams.elements()]), counts([names.index(x) for x in held_out.elements()])
    )
    assert samples.bigram_divergence == pytest.approx(divergence, abs=1e-12)


def test_an_empty_line_is_a_sample_like_any_other(data: CharDataModule) -> None:
    samples = SampleQuality(["", "", "eve"], data, "val")
    assert samples.unique == 2 / 3
    assert samples.in_split("new") == 2 / 3
    assert samples.length_distance == pytest.approx(7 / 2 - 3 / 3)  # every quantile is at most the held-out one


def test_only_the_first_novel_samples_are_looked_up_for_near_copies(
    data: CharDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = 50 * len(data.vocabulary)  # characters of the edits of a name of 4, about: 2 (4 + 1)^2 V
    for limit, fraction in ((hashed - 1, None), (hashed, 1.0), (2 * hashed - 1, 1.0), (2 * hashed, 0.5)):
        monkeypatch.setattr(module, "_HASHED", limit / 3)
        assert SampleQuality(["ben", "anne", "rafa"], data, "val").near_copies == fraction
    assert SampleQuality(["ben"], data, "val").near_copies is None

"""Metrics of samples against values computed by hand or in plain Python."""

import math
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sequentia.data import CharDataModule
from sequentia.evaluation.samples import Counts, SampleQuality, bigram_divergence, length_distance, unique_share

INTEGERS = st.lists(st.integers(0, 30), min_size=1, max_size=30)


def counts(values: list[int]) -> Counts:
    return torch.tensor(values).unique(return_counts=True)


def test_unique_share_is_the_number_of_distinct_elements_over_the_number_of_all() -> None:
    assert unique_share(torch.tensor([5, 7, 5, 5])) == 0.5


@given(INTEGERS, INTEGERS)
def test_the_length_distance_is_the_mean_difference_of_sorted_lengths(a: list[int], b: list[int]) -> None:
    # Repeated to equal numbers, the k-th shortest of one corresponds to the k-th shortest of the other.
    pairs = zip(sorted(a * len(b)), sorted(b * len(a)), strict=True)
    expected = sum(abs(x - y) for x, y in pairs) / (len(a) * len(b))
    assert float(length_distance(counts(a), counts(b))) == pytest.approx(expected, abs=1e-12)


@given(INTEGERS, INTEGERS)
def test_the_bigram_divergence_is_the_mean_divergence_from_the_average_in_bits(a: list[int], b: list[int]) -> None:
    p, q = ({key: count / len(x) for key, count in Counter(x).items()} for x in (a, b))
    expected = 0.0
    for one in (p, q):
        for key, probability in one.items():
            mean = (p.get(key, 0) + q.get(key, 0)) / 2
            expected += probability * math.log2(probability / mean) / 2
    assert float(bigram_divergence(counts(a), counts(b))) == pytest.approx(expected, abs=1e-12)


def test_the_bigram_divergence_is_1_without_a_common_bigram_and_0_for_equal_distributions() -> None:
    assert bigram_divergence(counts([1, 2, 2]), counts([3])) == 1
    assert bigram_divergence(counts([1, 2, 2]), counts([1, 1, 2, 2, 2, 2])) == 0


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    return CharDataModule(
        write(["anna", "ben", "ben", "carl"]), write(["dana", "eve"], "val.txt"), write(["anna", "fred"], "test.txt")
    )


SAMPLES = ["anna", "anna", "anne", "dana", "fred", "ben", "bend", "rafa"]


def test_sample_quality_equals_the_values_counted_by_hand(data: CharDataModule) -> None:
    metric = SampleQuality(data, "val")
    metric.update(SAMPLES[:3])
    metric.update(SAMPLES[3:])
    found = {name: float(value) for name, value in metric.compute().items()}
    bigrams = Counter(x[i : i + 2] for x in [f".{line}." for line in SAMPLES] for i in range(len(x) - 1))
    held_out = Counter(x[i : i + 2] for x in (".dana.", ".eve.") for i in range(len(x) - 1))
    names = sorted({*bigrams, *held_out})
    divergence = bigram_divergence(
        counts([names.index(x) for x in bigrams.elements()]), counts([names.index(x) for x in held_out.elements()])
    )
    assert found.pop("bigram_divergence") == pytest.approx(float(divergence), abs=1e-12)
    assert found == {
        "unique": 7 / 8,
        "novel": 5 / 8,  # anne, dana, fred, bend, rafa
        "in_train": 3 / 8,  # anna, also a test line, counts in the first split
        "in_val": 1 / 8,
        "in_test": 1 / 8,
        "near_copies": 2 / 5,  # anne and bend
        # 7 samples of 4 characters and one of 3, two lines of 4 and 3: the quantiles differ between 1/8 and 1/2.
        "length_distance": 3 / 8,
    }
    metric.reset()
    metric.update(["ben"])
    assert metric.compute()["novel"] == 0
    assert "near_copies" not in metric.compute()


def test_only_the_first_novel_samples_are_looked_up_for_near_copies(data: CharDataModule) -> None:
    V = len(data.vocabulary)
    edits = 4 + 9 * (V - 1)  # of a name of 4 characters
    for limit, share in ((edits, 1.0), (2 * edits - 1, 1.0), (2 * edits, 0.5)):
        metric = SampleQuality(data, "val", max_edits=limit)
        metric.update(["ben", "anne", "rafa"])
        assert metric.compute()["near_copies"] == share
    metric = SampleQuality(data, "val", max_edits=edits - 1)
    metric.update(["anne"])
    assert "near_copies" not in metric.compute()


def test_without_held_out_lines_nothing_is_compared_with_them(write: Callable[..., str]) -> None:
    data = CharDataModule(write(["ab", "ba"]), val_fraction=0, test_fraction=0)
    metric = SampleQuality(data, "val")
    metric.update(["ab", "", "aa"])
    assert {name: float(value) for name, value in metric.compute().items()} == {
        **{"unique": 1.0, "novel": pytest.approx(2 / 3), "in_train": pytest.approx(1 / 3), "in_val": 0.0},
        **{"in_test": 0.0, "near_copies": 0.5},
    }


def test_processes_with_different_samples_get_the_metrics_of_all_samples(data: CharDataModule) -> None:
    whole = SampleQuality(data, "test")
    whole.update(SAMPLES)
    parts = [SampleQuality(data, "test") for _ in range(2)]
    parts[0].update(SAMPLES[:1])  # looks up nothing
    parts[1].update(SAMPLES[1:])
    states = [
        {name: torch.cat(getattr(part, name)) for name in ("keys", "splits", "near", "lengths", "bigrams")}
        for part in parts
    ]

    def gather(tensor: torch.Tensor, group: object) -> list[torch.Tensor]:
        """What gathering over two processes returns, in the first of them."""
        name = next(name for name, value in states[0].items() if torch.equal(value, tensor))
        return [states[0][name], states[1][name]]

    parts[0].dist_sync_fn = gather
    parts[0].distributed_available_fn = lambda: True
    assert parts[0].compute() == whole.compute()

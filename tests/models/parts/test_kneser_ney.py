"""Kneser-Ney probabilities against a dictionary implementation, in plain Python, of their definition."""

import math
import random
from collections import Counter
from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from sequentia.models.parts.kneser_ney import KneserNey
from sequentia.models.parts.ngram_levels import by_order, discounts, distinct

Gram = tuple[int, ...]


class Oracle:
    """Chen & Goodman 1998, equations 25 and 26, with the numbers of occurrences of n-grams that start a line.

    Args:
        occurrences: Every n-gram that occurs, as often as it occurs: the context of at most order - 1 tokens, then the
            predicted token.
        order: Length of the longest n-grams.
        size: V.
        discounts: Of each length; estimated by default.
    """

    def __init__(
        self, occurrences: Iterable[Gram], order: int, size: int, discounts: dict[int, list[float]] | None = None
    ) -> None:
        self.size = size
        raw = Counter(gram[i:] for gram in occurrences for i in range(len(gram)))
        predecessors = Counter(gram[1:] for gram in raw)
        self.counts = {
            gram: count if len(gram) == order or starts_a_line(gram) else predecessors[gram]
            for gram, count in raw.items()
        }
        by_length: dict[int, list[int]] = {}
        self.followers: dict[Gram, list[tuple[Gram, int]]] = {}
        for gram, count in self.counts.items():
            by_length.setdefault(len(gram), []).append(count)
            self.followers.setdefault(gram[:-1], []).append((gram, count))
        self.discounts = discounts or {length: self.estimate(counts) for length, counts in by_length.items()}

    @staticmethod
    def estimate(counts: list[int]) -> list[float]:
        n1, n2, n3, n4 = (counts.count(i) for i in (1, 2, 3, 4))
        result = [0.0, 0.5, 1.0, 1.5]
        if n1 and n2:
            y = n1 / (n1 + 2 * n2)
            result[1] = 1 - 2 * y * n2 / n1
            if n3 and 2 - 3 * y * n3 / n2 > 0:
                result[2] = 2 - 3 * y * n3 / n2
            if n3 and n4 and 3 - 4 * y * n4 / n3 > 0:
                result[3] = 3 - 4 * y * n4 / n3
        return result

    def prob(self, context: Gram, token: int) -> float:
        shorter = self.prob(context[1:], token) if context else 1 / self.size
        followers = self.followers.get(context, [])
        total = sum(count for _, count in followers)
        if total == 0:
            return shorter
        d = self.discounts[len(context) + 1]
        reserved = sum(d[min(count, 3)] for _, count in followers)
        count = self.counts.get((*context, token), 0)
        return (count - d[min(count, 3)] + reserved * shorter) / total


def starts_a_line(gram: Gram) -> bool:
    return len(gram) > 1 and gram[0] == 0


def occurrences(lines: list[Gram], order: int) -> list[Gram]:
    """The longest n-gram at every position of every line."""
    padded = [(0, *line, 0) for line in lines]
    return [line[max(0, i - order + 1) : i + 1] for line in padded for i in range(1, len(line))]


def rows(grams: list[Gram], order: int) -> Tensor:
    """N-grams as rows: the context backwards, filled with the boundary, and the predicted token."""
    filled = [[*reversed(gram[:-1]), *[0] * (order - len(gram)), gram[-1]] for gram in grams]
    return torch.tensor(filled, dtype=torch.int).view(len(grams), order)


def tables(grams: list[Gram], order: int, size: int) -> KneserNey:
    ngrams = rows(grams, order)
    counts = torch.ones(len(ngrams), dtype=torch.long)
    return KneserNey([[], *by_order(*distinct(ngrams, counts, size), size)][-1], size)


def random_lines(seed: int) -> tuple[list[Gram], int]:
    """Lines with very different numbers of repetitions, and V."""
    rng = random.Random(seed)
    size = rng.choice([2, 3, 5, 30])
    weights = [rng.random() ** 3 + 1e-3 for _ in range(size - 1)]
    number, longest = rng.choice([1, 3, 30, 200]), rng.choice([1, 4, 9])
    lengths = [rng.randint(1, longest) for _ in range(number)]
    return [tuple(rng.choices(range(1, size), weights, k=length)) for length in lengths], size


CASES = [(seed, order) for seed in range(40) for order in (1, 2, 3, 6)]


@pytest.mark.parametrize(("seed", "order"), CASES)
def test_probabilities_equal_the_oracles(seed: int, order: int) -> None:
    lines, size = random_lines(seed)
    grams = occurrences(lines, order)
    oracle, found = Oracle(grams, order, size), tables(grams, order, size)
    unseen, _ = random_lines(seed + 1000)
    tried = sorted({*grams[:50], *occurrences([tuple(1 + token % (size - 1) for token in t) for t in unseen], order)})
    window = rows(tried, order)[:, :-1].long()
    probs = found.log_probs(window).double().exp()
    expected = torch.tensor([[oracle.prob(gram[:-1], token) for token in range(size)] for gram in tried])
    torch.testing.assert_close(probs, expected.double(), rtol=1e-6, atol=1e-7)
    target = torch.tensor([gram[-1] for gram in tried])
    torch.testing.assert_close(
        found.target_log_probs(window, target).double(),
        expected.double().log().gather(1, target[:, None])[:, 0],
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize(("seed", "order"), [case for case in CASES if case[0] < 12])
def test_leaving_out_a_position_equals_counting_all_others(seed: int, order: int) -> None:
    lines, size = random_lines(seed)
    grams = occurrences(lines, order)
    discounts = Oracle(grams, order, size).discounts
    tried = sorted(set(grams))[:20]
    expected = []
    for gram in tried:
        others = grams.copy()
        others.remove(gram)
        expected.append(math.log(Oracle(others, order, size, discounts).prob(gram[:-1], gram[-1])))
    ngrams, found = rows(tried, order), tables(grams, order, size)
    log_probs = found.target_log_probs(ngrams[:, :-1].long(), ngrams[:, -1].long(), left_out=True)
    assert log_probs.tolist() == pytest.approx(expected, abs=1e-5)
    counts = torch.tensor([grams.count(gram) for gram in tried])
    total = math.fsum(count * log_prob for count, log_prob in zip(counts.tolist(), expected, strict=True))
    assert float(found.left_out_nll(ngrams, counts)) == pytest.approx(-total / int(counts.sum()), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_sum_to_1_and_none_is_0_in_any_context_of_a_large_vocabulary(seed: int) -> None:
    rng = random.Random(seed)
    size, order = 12_000, 4
    lines = [tuple(rng.choices(range(1, size), k=rng.randint(1, 6))) for _ in range(300)]
    grams = [*occurrences(lines, order), *occurrences([(1, 2, 3), (9, 9, 9, 9, 9)], order)]
    log_probs = tables(grams[:-10], order, size).log_probs(rows(grams[-200:], order)[:, :-1].long())
    torch.testing.assert_close(log_probs.double().exp().sum(1), torch.ones(200).double(), rtol=0, atol=1e-5)
    assert log_probs.isfinite().all()


def test_no_probability_is_0_after_a_context_that_is_very_long_and_very_frequent() -> None:
    """The product of the weights of all shorter contexts underflows."""
    grams = occurrences([(1,) * 120], 100)
    *_, levels = by_order(*distinct(rows(grams, 100), torch.full((len(grams),), 2**40), 5), 5)
    log_probs = KneserNey(levels, 5).log_probs(torch.ones(1, 99, dtype=torch.long))
    assert float(log_probs.min()) == pytest.approx(math.log(torch.finfo(torch.float).tiny))


def test_distinct_sorts_and_adds_up_also_where_64_bits_cannot_hold_a_row() -> None:
    rng = random.Random(0)
    some = [tuple(rng.choices([0, 1, 2**20], k=9)) for _ in range(200)]
    grams = rng.choices(some, k=2000)
    counts = [rng.randint(1, 2**40) for _ in grams]
    expected: Counter[Gram] = Counter()
    for gram, count in zip(grams, counts, strict=True):
        expected[gram] += count
    ngrams, totals = distinct(torch.tensor(grams, dtype=torch.int), torch.tensor(counts), 2**20 + 1)
    assert [tuple(row) for row in ngrams.tolist()] == sorted(expected)
    assert totals.tolist() == [expected[gram] for gram in sorted(expected)]


@pytest.mark.parametrize("counts", [[], [7], [1, 1, 1], [2, 2, 3], [1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4]])
def test_a_discount_leaves_something_to_shorter_contexts_and_is_no_more_than_the_count(counts: list[int]) -> None:
    found = discounts(torch.tensor(counts, dtype=torch.long)).tolist()
    assert found[0] == 0
    assert all(0 < discount <= i for i, discount in enumerate(found[1:], start=1))

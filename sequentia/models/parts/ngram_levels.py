"""Occurrences of n-grams -> tables of their Kneser-Ney counts and discounts, one for each length.

An n-gram is a row of n tokens: its context, last token first, and then the token that it predicts. A context that
starts a line ends with the boundary token, which also fills the rest of the row: nothing comes before it.

Sources: Kneser & Ney, "Improved backing-off for m-gram language modeling", 1995; Chen & Goodman, "An empirical study of
smoothing techniques for language modeling", 1998, section 4.1.6.

Dimensions:
    N  n-grams      K  contexts      V  vocabulary, boundary included
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sequentia.vocabulary import BOUNDARY

_FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of an n-gram seen once, twice, and more often, where too few n-grams exist to estimate them."""


class Level(NamedTuple):
    """All n-grams of one length.

    Contexts are numbered in ascending order of their keys. The key of a context is the number of the context without
    its first token, times V, plus that token, so it fits into 64 bits whatever the length. The key of an n-gram is
    the number of its context, times V, plus the predicted token.

    Attributes:
        contexts: Keys of the contexts, ascending, `(K,)` long.
        keys: Keys of the n-grams, ascending, `(N,)` long.
        counts: Count of each n-gram, `(N,)` long.
        starts: Index of each context's first n-gram, and N, `(K + 1,)` long.
        totals: Sum of the counts in each context, `(K,)` long.
        reserved: Sum of the discounts in each context, `(K,)` double: the count that is left for shorter contexts.
        discounts: Discount of a count of 0, 1, 2, and 3 or more, `(4,)` double.
        probs: Probability of each n-gram in its context before the shorter contexts' part is added, `(N,)` float.
        backoff: Weight of the shorter context's distribution, `(K,)` float.
    """

    contexts: Tensor
    keys: Tensor
    counts: Tensor
    starts: Tensor
    totals: Tensor
    reserved: Tensor
    discounts: Tensor
    probs: Tensor
    backoff: Tensor


def discounts(counts: Tensor) -> Tensor:
    """Chen and Goodman's estimates of the discounts, from the numbers of n-grams with counts 1, 2, 3 and 4.

    An estimate of D_i that needs a number that is 0, or that is not in (0, i], is replaced by a constant, so that every
    context leaves something to the shorter ones.

    Args:
        counts: `(N,)` long, all at least 1.

    Returns:
        Discounts of a count of 0, 1, 2, and 3 or more; `(4,)` double.
    """
    n = counts.clamp(max=5).bincount(minlength=6).tolist()
    result = [0.0, *_FALLBACK]
    if n[1] and n[2]:
        y = n[1] / (n[1] + 2 * n[2])
        for i in (1, 2, 3):
            estimate = i - (i + 1) * y * n[i + 1] / n[i] if n[i] and n[i + 1] else 0.0
            result[i] = estimate if 0 < estimate <= i else result[i]
    return torch.tensor(result, dtype=torch.double, device=counts.device)


def _level(contexts: Tensor, keys: Tensor, counts: Tensor, size: int) -> Level:
    d = discounts(counts)
    discount = d[counts.clamp(max=3)]
    context = keys // size  # (N,)
    totals = torch.zeros_like(contexts).index_add_(0, context, counts)
    reserved = discount.new_zeros(len(contexts)).index_add_(0, context, discount)
    starts = torch.searchsorted(context, torch.arange(len(contexts) + 1, device=keys.device))
    probs = ((counts - discount) / totals[context]).float()
    return Level(contexts, keys, counts, starts, totals, reserved, d, probs, (reserved / totals).float())


def distinct(ngrams: Tensor, counts: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Sort n-grams, and add up the counts of equal ones.

    Args:
        ngrams: `(N, n)`.
        counts: `(N,)` long.
        size: V.

    Returns:
        The distinct n-grams in lexicographic order, and their counts.
    """
    key, bound = counts.new_zeros(len(counts)), 1  # all keys are below the bound
    for column in ngrams.unbind(1):
        if bound * size >= 2**63:
            values, key = key.unique(return_inverse=True)
            bound = len(values)
        key, bound = key * size + column, bound * size
    values, group = key.unique(return_inverse=True)
    member = torch.empty_like(values).scatter_(0, group, torch.arange(len(group), device=group.device))
    return ngrams[member], torch.zeros_like(values).index_add_(0, group, counts)


def by_order(ngrams: Tensor, counts: Tensor, size: int) -> Iterator[list[Level]]:
    """Tables for order 1, 2, ... up to n, or to the longest n-gram of any line.

    The longest n-grams, and those that start a line, have their number of occurrences as count. All others have the
    number of distinct tokens before them: a token that follows many contexts is likely after a new one.

    Args:
        ngrams: `(N, n)`; distinct and in lexicographic order, as `distinct` returns them.
        counts: Number of occurrences, `(N,)` long.
        size: V.

    Yields:
        One level for each length up to the order. Consecutive orders share all levels but the last.
    """
    if len(counts) == 0:
        return
    shorter: list[Level] = []
    target = ngrams[:, -1].long()
    contexts, context = counts.new_zeros(1), torch.zeros_like(counts)  # the empty context
    keys, ngram = target.unique(return_inverse=True)
    for k in range(ngrams.shape[1]):
        occurrences = torch.zeros_like(keys).index_add_(0, ngram, counts)
        yield [*shorter, _level(contexts, keys, occurrences, size)]
        grows = torch.ones_like(ngram, dtype=torch.bool) if k == 0 else ngrams[:, k - 1] != BOUNDARY
        if k + 1 == ngrams.shape[1] or not grows.any():
            return
        adjusted = torch.zeros_like(keys).index_add_(0, ngram[~grows], counts[~grows])
        ngrams, counts, target, context, suffix = (t[grows] for t in (ngrams, counts, target, context, ngram))
        longer_contexts, context = (context * size + ngrams[:, k]).unique_consecutive(return_inverse=True)
        longer_keys, longer = (context * size + target).unique(return_inverse=True)
        suffix = torch.empty_like(longer_keys).scatter_(0, longer, suffix)
        adjusted += suffix.bincount(minlength=len(adjusted))  # distinct tokens before each
        shorter.append(_level(contexts, keys, adjusted, size))
        contexts, keys, ngram = longer_contexts, longer_keys, longer

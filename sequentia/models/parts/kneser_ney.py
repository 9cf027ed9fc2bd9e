"""Interpolated modified Kneser-Ney smoothing: tables of n-grams -> probabilities of the next token.

Sources and the form of an n-gram: see `ngram_levels`.

Dimensions:
    M  positions to predict      V  vocabulary, boundary included
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sequentia.models.parts.ngram_levels import Level
from sequentia.vocabulary import BOUNDARY

_SAMPLE = 100_000  # n-grams that the leave-one-out NLL is computed on: enough for its third decimal place
_GAIN = 0.001  # nats per character
_CELLS = 2**21  # probabilities that are computed at a time, few enough for the processor's cache


class KneserNey:
    """The distribution of the next token: each context's discounted counts, plus a weight times the shorter context's.

    The empty context is interpolated with the uniform distribution, so no probability is 0.

    Args:
        levels: N-grams of length 1, 2, ..., from `ngram_levels.by_order`; without any, the distribution is uniform.
        size: V.
    """

    def __init__(self, levels: list[Level], size: int) -> None:
        self.levels, self.size = levels, size

    @property
    def device(self) -> torch.device | None:
        """Device of the tables; None if there are none."""
        return self.levels[0].keys.device if self.levels else None

    @property
    def order(self) -> int:
        """Length of the longest n-grams; 0 if there are none."""
        return len(self.levels)

    @property
    def reads(self) -> int:
        """Number of tokens that the longest context has."""
        return max(0, self.order - 1)

    def _contexts(self, window: Tensor) -> list[Tensor]:
        """Number of each position's context at each level, -1 if it does not occur; each `(M,)` long."""
        found: list[Tensor] = []
        for k, level in enumerate(self.levels):
            if k == 0:
                found.append(window.new_zeros(len(window), dtype=torch.long))
                continue
            key = found[-1] * self.size + window[:, k - 1]
            grows = found[-1] >= 0
            if k > 1:
                grows &= window[:, k - 2] != BOUNDARY
            found.append(_find(level.contexts, key.where(grows, -1)))
        return found

    def log_probs(self, window: Tensor) -> Tensor:
        """Log probabilities of every token at M positions.

        Args:
            window: The tokens read, last one first, with the boundary before the start of the line; `(M, W)` long with
                W at least `reads`.

        Returns:
            `(M, V)` float.
        """
        M, V = len(window), self.size
        probs = torch.empty(M, V, device=window.device)
        rows = max(1, _CELLS // V)
        for some, out in zip(window.split(rows), probs.split(rows), strict=True):
            self._write_probs(some, out)
        # The product of many small weights may underflow.
        return probs.clamp_(min=torch.finfo(probs.dtype).tiny).log_()

    def _write_probs(self, window: Tensor, probs: Tensor) -> None:
        """Write the probabilities to `probs`, `(M, V)` float."""
        V = self.size
        if not self.levels:
            probs.fill_(1 / V)
            return
        contexts = self._contexts(window)
        weights: list[Tensor] = []  # of each level, the product of the weights of all longer contexts
        weight = torch.ones(len(window), device=window.device)
        for level, context in zip(reversed(self.levels), reversed(contexts), strict=True):
            weights.append(weight)
            weight = torch.where(context >= 0, weight * level.backoff[context], weight)
        shortest = self.levels[0]
        unigram = (shortest.backoff / V).expand(V).clone()
        unigram[shortest.keys] += shortest.probs
        torch.outer(weights.pop(), unigram, out=probs)
        for level, context in zip(self.levels[1:], contexts[1:], strict=True):
            weight = weights.pop()
            row = (context >= 0).nonzero()[:, 0]
            first = level.starts[context[row]]
            length = level.starts[context[row] + 1] - first
            shift = first - (length.cumsum(0) - length)
            ngram = torch.arange(int(length.sum()), device=window.device) + shift.repeat_interleave(length)
            row = row.repeat_interleave(length)
            index = row * V + level.keys[ngram] % V
            probs.view(-1).index_add_(0, index, level.probs[ngram] * weight[row])

    def target_log_probs(self, window: Tensor, target: Tensor, left_out: bool = False) -> Tensor:
        """Log probability of one token at each of M positions, in time that does not grow with V.

        Args:
            window: As in `log_probs`.
            target: `(M,)` long.
            left_out: Whether each position was counted and is to be predicted as if it had not been (leave-one-out).
                The discounts stay.

        Returns:
            `(M,)` float.
        """
        contexts = self._contexts(window)
        removed = torch.zeros_like(target)  # subtracted from the count by leaving out the position
        removals: list[tuple[Tensor, Tensor]] = []
        for k in reversed(range(self.order)):
            level, context = self.levels[k], contexts[k]
            ngram = _find(level.keys, context * self.size + target)
            count = level.counts[ngram].where(ngram >= 0, 0)
            if left_out:
                longest = ngram >= 0
                if k + 1 < self.order:
                    longest &= window[:, k - 1] == BOUNDARY if k > 0 else False
                removed = removed.where(~longest, 1)
            removals.append((count, removed))
            removed = removed.where(count == 1, 0)  # the last of its kind is no longer before the shorter n-gram
        probs = torch.full(target.shape, 1 / self.size, dtype=torch.double, device=target.device)
        for level, context in zip(self.levels, contexts, strict=True):
            count, removed = removals.pop()
            left = count - removed
            discount = level.discounts[left.clamp(max=3)]
            reserved = level.reserved[context] + discount - level.discounts[count.clamp(max=3)]
            total = level.totals[context] - removed
            probs = ((left - discount + reserved * probs) / total).where((context >= 0) & (total > 0), probs)
        return probs.log().float()

    def left_out_nll(self, ngrams: Tensor, counts: Tensor) -> Tensor:
        """Mean leave-one-out NLL of the n-grams that were counted, or of a sample; in nats per token, a scalar.

        Args:
            ngrams: `(N, n)`, from which the tables were made.
            counts: Number of occurrences, `(N,)` long.
        """
        step = 1 + len(counts) // _SAMPLE
        ngrams, counts = ngrams[::step].long(), counts[::step]
        log_probs = self.target_log_probs(ngrams[:, :-1], ngrams[:, -1], left_out=True)
        return -(counts * log_probs.double()).sum() / counts.sum()


def _find(keys: Tensor, wanted: Tensor) -> Tensor:
    """Index of each wanted key, -1 if it is missing."""
    index = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return index.where(keys[index] == wanted, -1)


def shortest_sufficient(candidates: Iterator[KneserNey], ngrams: Tensor, counts: Tensor) -> Iterator[KneserNey]:
    """The tables up to the last order that lowers the leave-one-out NLL by at least 0.001 nats per character.

    Args:
        candidates: Tables of order 1, 2, ...
        ngrams: The n-grams that they were made from, `(N, n)`.
        counts: `(N,)` long.
    """
    lowest = float("inf")
    for candidate in candidates:
        nll = float(candidate.left_out_nll(ngrams, counts))
        if nll > lowest - _GAIN:
            return
        yield candidate
        lowest = nll

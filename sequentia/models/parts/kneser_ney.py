"""Interpolated modified Kneser-Ney smoothing: tables of n-grams -> probabilities of the next token.

Sources and the form of an n-gram: see `ngram_levels`.

Dimensions:
    M  positions to predict      V  vocabulary, boundary included      K  labels
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from sequentia.models.parts.ngram_levels import Level
from sequentia.vocabulary import BOUNDARY

_SAMPLE = 100_000  # n-grams that the leave-one-out NLL is computed on: enough for its third decimal place
_GAIN = 0.001  # nats per character
_ITERATIONS = 50  # of expectation maximization
_CELLS = 2**21  # probabilities that are computed at a time, few enough for the processor's cache


class KneserNey:
    """The distribution of the next token: each context's discounted counts, plus a weight times the shorter context's.

    The empty context is interpolated with the uniform distribution, so no probability is 0.

    If lines have labels, a context begins with the label, and only then has the characters, last one first: the label
    is the last to be left out, and then remains the distribution whatever the label. That distribution also has a
    fixed part of the whole, because a label may say little.

    Args:
        levels: N-grams of length 1, 2, ..., from `ngram_levels.by_order`; without any, the distribution is uniform.
        size: V.
        num_tokens: V + K, the number of tokens that a context can consist of; by default V.
        whatever_label: The distribution of the characters alone, if the contexts begin with a label.

    Attributes:
        part: The part of the whole that `whatever_label` has, in [0, 1].
    """

    def __init__(
        self, levels: list[Level], size: int, num_tokens: int | None = None, whatever_label: "KneserNey | None" = None
    ) -> None:
        self.levels, self.size, self.num_tokens = levels, size, num_tokens or size
        self.whatever_label = whatever_label
        self.part = 0.0

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
        characters = 0 if self.whatever_label is None else 1 + self.whatever_label.reads
        return max(0, self.order - 1, characters)

    def _contexts(self, window: Tensor) -> list[Tensor]:
        """Number of each position's context at each level, -1 if it does not occur; each `(M,)` long."""
        found: list[Tensor] = []
        for k, level in enumerate(self.levels):
            if k == 0:
                found.append(window.new_zeros(len(window), dtype=torch.long))
                continue
            key = found[-1] * self.num_tokens + window[:, k - 1]
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
        if not self.levels and self.whatever_label is None:
            probs.fill_(1 / V)
            return
        contexts = self._contexts(window)
        weights: list[Tensor] = []  # of each level but the first, the product of the weights of all longer contexts
        weight = torch.full((len(window),), 1 - self.part, device=window.device)
        for level, context in zip(reversed(self.levels[1:]), reversed(contexts[1:]), strict=True):
            weights.append(weight)
            weight = torch.where(context >= 0, weight * level.backoff[context], weight)
        if self.whatever_label is None:
            shortest = self.levels[0]
            unigram = (shortest.backoff / V).expand(V).clone()
            unigram[shortest.keys] += shortest.probs
            torch.outer(weight, unigram, out=probs)
        else:
            self.whatever_label._write_probs(window[:, 1:], probs)
            probs *= (weight + self.part)[:, None]
        for level, context in zip(self.levels[1:], contexts[1:], strict=True):
            weight = weights.pop()
            row = (context >= 0).nonzero()[:, 0]
            first = level.starts[context[row]]
            length = level.starts[context[row] + 1] - first
            shift = first - (length.cumsum(0) - length)
            ngram = torch.arange(int(length.sum()), device=window.device) + shift.repeat_interleave(length)
            row = row.repeat_interleave(length)
            index = row * V + level.keys[ngram] % self.num_tokens
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
            ngram = _find(level.keys, context * self.num_tokens + target)
            count = level.counts[ngram].where(ngram >= 0, 0)
            if left_out:
                longest = ngram >= 0
                if k + 1 < self.order:
                    longest &= window[:, k - 1] == BOUNDARY if k > 0 else False
                removed = removed.where(~longest, 1)
            removals.append((count, removed))
            removed = removed.where(count == 1, 0)  # the last of its kind is no longer before the shorter n-gram
        levels = zip(self.levels, contexts, reversed(removals), strict=True)
        if self.whatever_label is None:
            probs = torch.full(target.shape, 1 / self.size, dtype=torch.double, device=target.device)
        else:
            whatever = probs = self.whatever_label.target_log_probs(window[:, 1:], target, left_out).double().exp()
            next(levels, None)  # the empty context
        for level, context, (count, removed) in levels:
            left = count - removed
            discount = level.discounts[left.clamp(max=3)]
            reserved = level.reserved[context] + discount - level.discounts[count.clamp(max=3)]
            total = level.totals[context] - removed
            probs = ((left - discount + reserved * probs) / total).where((context >= 0) & (total > 0), probs)
        if self.whatever_label is not None:
            probs = (1 - self.part) * probs + self.part * whatever
        return probs.log().float()

    def left_out_nll(self, ngrams: Tensor, counts: Tensor) -> Tensor:
        """Mean leave-one-out NLL of the n-grams that were counted, or of a sample; in nats per token, a scalar.

        Args:
            ngrams: `(N, n)`, from which the tables were made.
            counts: Number of occurrences, `(N,)` long.
        """
        window, target, counts = _sample(ngrams, counts)
        log_probs = self.target_log_probs(window, target, left_out=True)
        return -(counts * log_probs.double()).sum() / counts.sum()

    def choose_part(self, ngrams: Tensor, counts: Tensor) -> None:
        """Choose the part of `whatever_label` by expectation maximization of the leave-one-out probabilities.

        Args:
            ngrams: See `left_out_nll`.
            counts: See `left_out_nll`.
        """
        if self.whatever_label is None or len(counts) == 0:
            return
        window, target, counts = _sample(ngrams, counts)
        own = self.target_log_probs(window, target, left_out=True).double()
        whatever = self.whatever_label.target_log_probs(window[:, 1:], target, left_out=True).double()
        part = torch.tensor(0.5, dtype=torch.double, device=counts.device)
        for _ in range(_ITERATIONS):
            belongs = (part.log() + whatever).sub((1 - part).log() + own).sigmoid()
            part = (counts * belongs).sum() / counts.sum()
        self.part = float(part)


def _sample(ngrams: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Contexts, predicted tokens and counts of some n-grams, enough to average over."""
    step = 1 + len(counts) // _SAMPLE
    return ngrams[::step, :-1].long(), ngrams[::step, -1].long(), counts[::step]


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

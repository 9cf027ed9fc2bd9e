"""Model -> its most probable lines, exactly and in order. Needs neither a data module nor a Trainer."""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.conditions import Conditions
from sequentia.inference.labels import of_label
from sequentia.inference.model import Model, check_probabilities, evaluating
from sequentia.inference.options import SamplingOptions, takes_conditions
from sequentia.inference.sampling import Sample
from sequentia.vocabulary import BOUNDARY

_ROWS = 512
"""Most beginnings that are computed at a time."""

_MEMORY = 2**30
"""Bytes of waiting beginnings and states of the model; the beginnings of each length get the same share of them."""

_BUDGET = 3_000_000
"""Give up after this many beginnings."""


@dataclass
class _Batch:
    """Beginnings of equal length that are as probable as a line must be.

    Attributes:
        ids: `(B, 1 + P)`, the boundary first.
        log_prob: Of each beginning, `(B,)` double.
        parent: Row of the state that precedes the last token of each, `(B,)`.
        state: The state of the model before the last token; None if there is no other.
    """

    ids: Tensor
    log_prob: Tensor
    parent: Tensor
    state: tuple[Tensor, ...] | None


class Search:
    """The most probable lines that meet the conditions.

    A beginning is at least as probable as every line that it begins. So all lines of a probability of at least p are
    found by following all such beginnings, depth first in batches, whose sizes are such that about 1 GB of
    memory suffices. p starts at 1/N, since N lines cannot all be more probable, and is lowered until N are found.

    Args:
        model: Any architecture.
        num_lines: Number of lines for each prompt, N.
        options: The conditions; options of drawing have no effect.

    Attributes:
        wanted: Number of lines for all prompts.
        beginnings: Number of beginnings computed so far.
        found: The best lines of a prompt found so far, as a heap of pairs of log probability and text.
        after_batch: Called after each batch, to show the progress.

    Raises:
        UserError: `num_lines` is below 1, a condition is invalid, or no line can meet them.
    """

    def __init__(self, model: Model, num_lines: int, options: SamplingOptions) -> None:
        if num_lines < 1:
            raise UserError(f"num_lines must be at least 1, got {num_lines}")
        self.beginnings, self.found = 0, list[tuple[float, str]]()
        self.after_batch: Callable[[], object] = lambda: None
        self._model, self._num_lines = of_label(model, options.label), num_lines
        self._conditions = Conditions(model, options)
        self.wanted = num_lines * len(self._conditions.prompts)

    def run(self) -> list[Sample]:
        """The lines, prompt by prompt, the most probable first; fewer than N if the model has no more.

        Raises:
            UserError: N lines are not among those that 3,000,000 beginnings lead to, or the probabilities are NaN.
        """
        lines: list[Sample] = []
        with torch.inference_mode(), evaluating(self._model):
            for prompt in self._conditions.prompts:
                self._limit = self.beginnings + _BUDGET
                least = -math.log(self._num_lines)
                while not self._find_all(prompt, least) and len(self.found) < self._num_lines:
                    least -= max(0.5, math.log(self._num_lines / max(1, len(self.found))))
                best = sorted(self.found, key=lambda line: (-line[0], line[1]))
                lines += [Sample(text, -log_prob) for log_prob, text in best]
        return lines

    def _find_all(self, prompt: str, least: float) -> bool:
        """Find all lines with at least this log probability, or the best N of them.

        Returns:
            Whether there are no others at all.
        """
        self.found = []
        everything = True
        batches = [self._start(prompt)]
        while batches:
            batch = batches.pop()
            self.beginnings += len(batch.ids)
            if self.beginnings > self._limit:
                found = f"found {len(self.found):,} of {self._num_lines:,} lines after {_BUDGET:,} beginnings"
                raise UserError(f"{found}: ask for fewer lines, or loosen the conditions")
            state = None if batch.state is None else tuple(tensor[batch.parent] for tensor in batch.state)
            logits, state = self._model.step(batch.ids[:, -1], state)
            # (B, V), of each beginning with one more token
            log_prob = check_probabilities(logits.float().log_softmax(1)).double() + batch.log_prob[:, None]
            end = log_prob[:, BOUNDARY]
            everything &= not bool(((end < least) & (end > -torch.inf)).any())
            for row in (end >= least).nonzero()[:, 0].tolist():
                text = self._model.vocabulary.decode(batch.ids[row, 1:].cpu().numpy())
                if self._conditions.meets(text, ended=True):
                    add = heapq.heappush if len(self.found) < self._num_lines else heapq.heappushpop
                    add(self.found, (float(end[row]), text))
            if len(self.found) == self._num_lines:
                least = max(least, self.found[0][0])
            log_prob[:, BOUNDARY] = -torch.inf
            if batch.ids.shape[1] <= self._conditions.max_length:
                follows = log_prob >= least
                everything &= not bool((log_prob[~follows] > -torch.inf).any())
                batches += self._longer(batch, log_prob, follows, state)
            self.after_batch()
        return everything

    def _start(self, prompt: str) -> _Batch:
        """The prompt."""
        device = self._model.device
        ids = torch.tensor([[BOUNDARY, *self._model.vocabulary.encode(prompt).tolist()]], device=device)
        log_prob, state = torch.zeros(1, device=device).double(), None
        for token, following in zip(ids[0, :-1], ids[0, 1:], strict=True):
            logits, state = self._model.step(token[None], state)
            log_prob += check_probabilities(logits.float().log_softmax(1))[:, following].double()
        return _Batch(ids, log_prob, torch.zeros(1, dtype=torch.long, device=device), state)

    def _longer(self, batch: _Batch, log_prob: Tensor, follows: Tensor, state: tuple[Tensor, ...]) -> list[_Batch]:
        """The beginnings with one more token where `follows` `(B, V)` is true; the last is to be continued first."""
        row, token = follows.nonzero(as_tuple=True)
        ids = torch.cat([batch.ids[row], token[:, None]], 1)
        kept = self._conditions.can_begin(ids[:, 1:])
        ids, row, log_prob = ids[kept], row[kept], log_prob[row, token][kept]
        order = log_prob.argsort()  # the most probable last, so that `least` rises early
        # Bytes of what a beginning leads to until it is done: those that follow it, and its state.
        each = len(self._model.vocabulary) * 8 * (ids.shape[1] + 2) + sum(s.nbytes for s in state) // len(batch.ids)
        rows = max(1, min(_ROWS, _MEMORY // (self._conditions.max_length + 1) // each))
        parts = zip(ids[order].split(rows), log_prob[order].split(rows), row[order].split(rows), strict=True)
        return [_Batch(*part, state) for part in parts] if len(ids) else []


@takes_conditions
def top(model: Model, num_lines: int, **options: Any) -> list[Sample]:
    """The most probable lines of a model that meet the conditions, exactly and in order.

    Args:
        model: Any architecture.
        num_lines: Number of lines, for each prompt if there are several.
        options: The conditions among the fields of `SamplingOptions`: `prompt`, `match`, `novel`, ...

    Returns:
        The lines, prompt by prompt, the most probable first; fewer than `num_lines` if the model has no more.

    Raises:
        UserError: See `Search`; or an option is one of drawing at random, which has no effect here.

    Example:
        >>> from sequentia import BigramCounts
        >>> model = BigramCounts.from_lines(["ab", "abab"], smoothing=0)
        >>> [(line.text, round(line.nll, 4)) for line in top(model, 2)]
        [('ab', 0.4055), ('abab', 1.5041)]
    """
    for option in fields(SamplingOptions):
        if option.metadata["drawing"] and option.name in options:
            raise UserError(f"{option.name} is for lines drawn at random, not for the most probable ones: omit it")
    return Search(model, num_lines, SamplingOptions(**options)).run()

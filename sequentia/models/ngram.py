"""NGram: the next character depends on the last few, by counting, with Kneser-Ney smoothing."""

import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from sequentia.inference.batch import Batch
from sequentia.models.base import State
from sequentia.models.counting import Counting, of_all_processes
from sequentia.models.parts.kneser_ney import KneserNey, shortest_sufficient
from sequentia.models.parts.ngram_levels import by_order, distinct
from sequentia.models.parts.options import check_sizes
from sequentia.models.parts.packing import positions, starts, windows
from sequentia.vocabulary import BOUNDARY, Plain

_LARGEST_CHOSEN_ORDER = 10  # if none is given

log = logging.getLogger(__name__)


class NGram(Counting):
    """Interpolated modified Kneser-Ney, counted in one pass over the training lines; see `KneserNey`.

    The weights are the distinct n-grams and how often each occurs; all probabilities follow from them. The logits are
    normalized log probabilities. `train/loss` is the leave-one-out NLL: each character is predicted from the counts of
    all others, as otherwise it would be known from its own count.

    Args:
        order: Length of the longest n-grams: a character and the `order` - 1 tokens before it. By default up to 10: the
            order grows while that lowers the leave-one-out NLL of the training lines by at least 0.001 nats per
            character.

    Raises:
        UserError: The order is out of range.

    Attributes:
        ngrams: Distinct n-grams in lexicographic order, `(N, order)` int: the tokens read, last one first, and the
            predicted one.
        counts: How often each occurs, `(N,)` long.
    """

    may_change: ClassVar = frozenset({"context_length"})
    ngrams: Tensor

    def __init__(self, vocabulary: Plain, context_length: int, order: int | None = None) -> None:
        super().__init__(vocabulary, context_length)
        longest = _LARGEST_CHOSEN_ORDER if order is None else order
        check_sizes(order=longest)
        self.save_hyperparameters(logger=False)
        self._labelled = bool(self.vocabulary.labels)
        self.register_buffer("ngrams", torch.zeros(0, self._labelled + longest, dtype=torch.int))
        self.register_buffer("counts", torch.zeros(0, dtype=torch.long))
        self._new: list[tuple[Tensor, Tensor]] = []  # counted, but not yet merged into the buffers
        self._tables: KneserNey | None = None  # computed from the buffers when needed
        self.register_state_dict_pre_hook(_merge_before_saving)
        self.register_load_state_dict_pre_hook(_resize_before_loading)
        self.register_load_state_dict_post_hook(_forget_after_loading)

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {}

    @property
    def tables(self) -> KneserNey:
        """The probabilities, computed when first needed after counting or loading."""
        if self._tables is None or self._tables.device != self.device:
            self.merge()
            if self._labelled:
                whatever = distinct(self.ngrams[:, 1:], self.counts, len(self.vocabulary))
                has_label = self.ngrams[:, 0] != BOUNDARY
                self._tables = self._make_tables(
                    self.ngrams[has_label], self.counts[has_label], self._make_tables(*whatever)
                )
            else:
                self._tables = self._make_tables(self.ngrams, self.counts)
        return self._tables

    def _make_tables(self, ngrams: Tensor, counts: Tensor, whatever_label: KneserNey | None = None) -> KneserNey:
        """The tables of n-grams, up to the chosen order."""
        V, num_tokens = len(self.vocabulary), self.vocabulary.num_tokens
        tables = KneserNey([], V, num_tokens, whatever_label)
        levels = by_order(ngrams, counts, num_tokens)
        if whatever_label is not None:
            next(levels, None)  # the empty context
        candidates: Iterator[KneserNey] = (KneserNey(each, V, num_tokens, whatever_label) for each in levels)
        if self.hparams["order"] is None:
            candidates = shortest_sufficient(candidates, ngrams, counts)
        for longer in candidates:
            tables = longer
        tables.choose_part(ngrams, counts)
        return tables

    def _windows(self, context: Tensor, position: Tensor | None, size: int) -> Tensor:
        """The tokens that a prediction reads, at most `size`: the label if lines have any, then the last characters."""
        if not self._labelled:
            return windows(context, position, size)
        first = starts(context, positions(context, position))
        return torch.cat((first[:, :, None], windows(self._character(context), position, size - 1)), 2)

    def _character(self, token: Tensor) -> Tensor:
        """The tokens, with the boundary in place of labels."""
        return token.where(token < len(self.vocabulary), BOUNDARY)

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        window = self._windows(context, position, self.tables.reads)
        return self.tables.log_probs(window.flatten(0, 1)).view(*context.shape, -1)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        size, first = self.tables.reads, int(self._labelled)
        if state is None:
            state = (self._windows(token[:, None], None, size)[:, 0],)
        else:
            (before,) = state
            state = (torch.cat((before[:, :first], token[:, None], before[:, first:]), 1)[:, :size],)
        return self.tables.log_probs(state[0]), state

    def target_log_probs(self, batch: Batch) -> Tensor:
        """Log probability of each target, in time that does not grow with V; 0 at padding; `(B, T)`."""
        kept = batch.target >= 0
        window = self._windows(batch.context, batch.position, self.tables.reads)[kept]
        found = self.tables.target_log_probs(window, batch.target[kept])
        return torch.zeros_like(batch.target, dtype=found.dtype).masked_scatter(kept, found)

    def count(self, batch: Batch) -> None:
        window = self._windows(batch.context, batch.position, self.ngrams.shape[1] - 1)
        ngrams = torch.cat((window, batch.target[:, :, None]), 2)[batch.target >= 0]
        ngrams = of_all_processes(ngrams.int())
        ones = torch.ones(len(ngrams), dtype=torch.long, device=ngrams.device)
        self._new.append(distinct(ngrams, ones, self.vocabulary.num_tokens))
        self._tables = None
        # Merging sorts all n-grams; with twice as many each time, every n-gram is sorted a few times only.
        if sum(len(counts) for _, counts in self._new) > max(len(self.counts), 2**20):
            self.merge()

    def merge(self) -> None:
        """Add the counts since the last time to the buffers."""
        if not self._new:
            return
        ngrams, counts = zip((self.ngrams, self.counts), *self._new, strict=True)
        self._new = []
        self.ngrams, self.counts = distinct(torch.cat(ngrams), torch.cat(counts), self.vocabulary.num_tokens)

    def mean_nll(self) -> Tensor:
        return self.tables.left_out_nll(self.ngrams, self.counts)

    def on_counted(self) -> None:
        """Log the order, unless it was given."""
        if self.hparams["order"] is None:
            order = self.tables.order - self._labelled
            log.info(
                f"n-gram order {order}, chosen by the leave-one-out NLL of the training lines "
                f"({float(self.mean_nll()):.4f} nats per character); the option order overrides it"
            )


def _merge_before_saving(model: NGram, prefix: str, keep_vars: bool) -> None:
    model.merge()


def _resize_before_loading(model: NGram, weights: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Give the buffers the sizes of the weights, which depend on the training lines."""
    for name, dims in (("ngrams", (-1, model.ngrams.shape[1])), ("counts", (-1,))):
        weight = weights.get(prefix + name)
        if weight is not None and weight.shape[1:] == dims[1:]:
            setattr(model, name, getattr(model, name).new_zeros(weight.shape))


def _forget_after_loading(model: NGram, _: Any) -> None:
    """Drop everything that was counted before."""
    model._new, model._tables = [], None

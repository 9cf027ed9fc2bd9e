"""BigramCounts: the bigram table by counting."""

from typing import ClassVar

import torch
from torch import Tensor

from sequentia.inference.batch import Batch
from sequentia.models.base import State
from sequentia.models.counting import Counting, of_all_processes
from sequentia.models.parts.options import check_amount
from sequentia.vocabulary import Plain


class BigramCounts(Counting):
    """Relative frequencies of pairs, counted in one pass over the training lines, without an optimizer.

    The row is the last token, the column the next one. Without smoothing this is the maximum-likelihood table, to which
    `Bigram` converges by gradient descent. With smoothing it is the posterior mean under a Dirichlet prior; smoothing 1
    is Laplace's rule of succession.

    Args:
        smoothing: Added to every count, so that unseen pairs have a finite NLL. With 0, a pair that never occurs has
            probability 0 and an infinite NLL, and the row of a token that never occurs is uniform.

    Raises:
        UserError: The smoothing is negative, infinite or NaN.
    """

    may_change: ClassVar = frozenset({"context_length", "smoothing"})

    def __init__(self, vocabulary: Plain, context_length: int, smoothing: float = 1.0) -> None:
        super().__init__(vocabulary, context_length)
        check_amount("smoothing", smoothing)
        self.save_hyperparameters(logger=False)
        self.smoothing = smoothing
        self.register_buffer("counts", torch.zeros(self.vocabulary.num_tokens, len(self.vocabulary), dtype=torch.long))

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.counts: (0, 1)}

    def _logits(self, counts: Tensor) -> Tensor:
        """Logits `(..., V)` from rows of counts `(..., V)`."""
        logits = (counts + self.smoothing).log()
        return logits.where(logits.isfinite().any(-1, keepdim=True), 0.0)

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return self._logits(self.counts[context])

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self._logits(self.counts[token]), ()

    def count(self, batch: Batch) -> None:
        """Count the pairs of a batch."""
        size, kept = len(self.vocabulary), batch.target >= 0
        pairs = of_all_processes(batch.context[kept] * size + batch.target[kept])
        # Not bincount, which would make a table of all pairs for every batch.
        self.counts.index_put_((pairs // size, pairs % size), torch.ones_like(pairs), accumulate=True)

    def mean_nll(self) -> Tensor:
        """Mean NLL of all pairs counted so far, in nats per character; a scalar."""
        log_probs = self._logits(self.counts).double().log_softmax(1)
        occurs = self.counts > 0
        return -(self.counts[occurs] * log_probs[occurs]).sum() / self.counts.sum()

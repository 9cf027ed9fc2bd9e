"""BigramCounts: the bigram table by counting."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from sequentia.errors import UserError
from sequentia.models.base import Batch, LanguageModel, State


class BigramCounts(LanguageModel):
    """Relative frequencies of pairs, counted in one pass over the training lines, without an optimizer.

    The row is the last token, the column the next one. Without smoothing this is the maximum-likelihood table, to which
    `Bigram` converges by gradient descent. With smoothing it is the posterior mean under a Dirichlet prior; smoothing 1
    is Laplace's rule of succession.

    Args:
        smoothing: Added to every count. With 0, a pair that never occurs has probability 0 and an infinite NLL, and
            the row of a token that never occurs is uniform.

    Raises:
        UserError: The smoothing is negative, infinite or NaN.
    """

    may_change: ClassVar = frozenset({"context_length", "smoothing"})
    single_epoch: ClassVar = True
    plots_bigrams: ClassVar = True
    counts: Tensor

    def __init__(self, vocabulary: str, context_length: int, smoothing: float = 1.0) -> None:
        super().__init__(vocabulary, context_length)
        if not 0 <= smoothing < float("inf"):
            raise UserError(f"model.smoothing must be finite and at least 0, got {smoothing}")
        self.save_hyperparameters(logger=False)
        self.automatic_optimization = False
        size = len(self.vocabulary)
        self.smoothing = smoothing
        self.register_buffer("counts", torch.zeros(size, size, dtype=torch.long))

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.counts: (0, 1)}

    def pair_counts(self) -> Tensor:
        return self.counts

    def _logits(self, counts: Tensor) -> Tensor:
        """Logits `(N, V)` from rows of counts `(N, V)`."""
        logits = (counts + self.smoothing).log()
        return logits.where(logits.isfinite().any(1, keepdim=True), 0.0)

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return F.embedding(context, self._logits(self.counts))

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self._logits(self.counts[token]), ()

    def mean_nll(self) -> Tensor:
        """Mean NLL of all pairs counted so far, in nats per character; a scalar."""
        log_probs = self._logits(self.counts).double().log_softmax(1)
        occurs = self.counts > 0
        return -(self.counts[occurs] * log_probs[occurs]).sum() / self.counts.sum()

    def setup(self, stage: str) -> None:
        """Bypass DistributedDataParallel, which refuses a model without gradients."""
        if isinstance(self.trainer.strategy, DDPStrategy):
            self.trainer.strategy.configure_ddp = lambda: None

    def configure_optimizers(self) -> Any:
        """No optimizer."""
        return []  # None would make Lightning warn

    def training_step(self, batch: Batch) -> None:
        """Count the pairs of a batch over all processes; only the first epoch counts."""
        if self.trainer.current_epoch > 0:
            return
        size, kept = len(self.vocabulary), batch.target >= 0
        pairs = batch.context[kept] * size + batch.target[kept]
        # Summed over processes at every step, not at the end, so that a checkpoint in mid-epoch has all counts.
        self.counts += self.trainer.strategy.reduce(pairs.bincount(minlength=size**2), reduce_op="sum").view(size, size)
        # Lightning counts steps (for max_steps, checkpoints and logs) by optimizer steps; here a step is a batch.
        steps = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        steps.increment_ready()
        steps.increment_completed()

    def on_train_epoch_end(self) -> None:
        """Log the NLL of the counted lines, and end the run: another epoch would have nothing to count."""
        self.log("train/loss", self.mean_nll().float(), sync_dist=True)
        self.trainer.should_stop = True

"""BigramCounts: the bigram's table by counting."""

from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from sequentia.errors import UserError
from sequentia.models.base import Batch, LanguageModel, State


class BigramCounts(LanguageModel):
    """Relative frequencies of pairs, counted in one pass over the training lines, without an optimizer.

    Row, the last token; column, the next. Without smoothing this is the table of maximum likelihood, which `Bigram`
    comes to by gradient descent. With it, it is the mean of the posterior under a Dirichlet prior: Laplace's rule of
    succession at 1.

    Args:
        smoothing: Added to every count. At 0 a pair never seen has probability 0 and infinite NLL; all that follows a
            token never seen is equally likely.

    Raises:
        UserError: The smoothing is negative or no number.
    """

    counts: Tensor

    def __init__(self, vocabulary: str, context_length: int, smoothing: float = 1.0) -> None:
        super().__init__(vocabulary, context_length)
        if not 0 <= smoothing < float("inf"):
            raise UserError(f"model.smoothing must be a number, at least 0, got {smoothing}")
        self.save_hyperparameters(logger=False)
        self.automatic_optimization = False
        size = len(self.vocabulary)
        self.smoothing = smoothing
        self.register_buffer("counts", torch.zeros(size, size, dtype=torch.long))

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
        seen = self.counts > 0
        return -(self.counts[seen] * log_probs[seen]).sum() / self.counts.sum()

    def setup(self, stage: str) -> None:
        """Keep DistributedDataParallel away: it averages gradients, and refuses a model that has none."""
        if isinstance(self.trainer.strategy, DDPStrategy):
            self.trainer.strategy.configure_ddp = lambda: None

    def configure_optimizers(self) -> Any:
        """None."""
        return []  # a plain None brings a warning

    def training_step(self, batch: Batch) -> None:
        """Count the pairs of a batch, over all processes; the first epoch is the one pass."""
        if self.trainer.current_epoch > 0:
            return
        size, kept = len(self.vocabulary), batch.target >= 0
        pairs = batch.context[kept] * size + batch.target[kept]
        # At each step, not at the end: then a checkpoint in the middle of the pass is of what all have counted.
        self.counts += self.trainer.strategy.reduce(pairs.bincount(minlength=size**2), reduce_op="sum").view(size, size)
        # A step for max_steps, checkpoints and logs is a batch counted. Lightning knows them by the optimizer's steps.
        steps = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        steps.increment_ready()
        steps.increment_completed()

    def on_train_epoch_end(self) -> None:
        """Log the NLL of the lines counted, and end the run: more passes would count all lines again."""
        self.log("train/loss", self.mean_nll().float(), sync_dist=True)
        self.trainer.should_stop = True

"""Bigram: the next character depends on the last one alone."""

import torch
from torch import Tensor, nn

from sequentia.errors import UserError
from sequentia.models.base import Batch, LanguageModel, State


class Bigram(LanguageModel):
    """A `(V, V)` table of logits, trained by gradient descent: row, the last token; column, the next.

    Source: Shannon, "A mathematical theory of communication", 1948, section 3.

    Args:
        init_seed: Seed of an initial table of normal random numbers; without it all logits start at 0.
        regularisation: Weight of the mean square of the table in the training loss, which pulls all probabilities
            toward equal ones: the gradient's form of smoothing.

    Raises:
        UserError: An option is out of its range.
    """

    def __init__(
        self, vocabulary: str, context_length: int, init_seed: int | None = None, regularisation: float = 0.0
    ) -> None:
        super().__init__(vocabulary, context_length)
        if init_seed is not None and not 0 <= init_seed < 2**64:
            raise UserError(f"model.init_seed must lie in [0, 2^64), got {init_seed}")
        if not 0 <= regularisation < float("inf"):
            raise UserError(f"model.regularisation must be a number, at least 0, got {regularisation}")
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.regularisation = regularisation
        self.logits = nn.Embedding(size, size)
        if init_seed is None:
            nn.init.zeros_(self.logits.weight)
        else:
            nn.init.normal_(self.logits.weight, generator=torch.Generator().manual_seed(init_seed))

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return self.logits(context)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.logits(token), ()

    def training_loss(self, batch: Batch) -> Tensor:
        loss = super().training_loss(batch)
        if self.regularisation == 0:
            return loss
        return loss + self.regularisation * self.logits.weight.square().mean()

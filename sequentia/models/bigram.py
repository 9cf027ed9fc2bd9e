"""Bigram: the next character depends only on the last one."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sequentia.inference.batch import Batch
from sequentia.models.base import LanguageModel, State
from sequentia.models.parts.options import check_amount
from sequentia.vocabulary import Plain


class Bigram(LanguageModel):
    """A table of logits `(V + K, V)`, trained by gradient descent: the row is the last token, the column the next one.

    Source: Shannon, "A mathematical theory of communication", 1948, section 3.

    Args:
        init_seed: Seed of a table initialized with normal random numbers; by default all logits start at 0.
        regularization: Weight of the table's mean square in the training loss. It pulls all probabilities toward
            uniform, as smoothing does for counts.

    Raises:
        UserError: An option is out of range.
    """

    may_change: ClassVar = frozenset({"context_length", "init_seed", "regularization"})

    def __init__(
        self, vocabulary: Plain, context_length: int, init_seed: int | None = None, regularization: float = 0.0
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_amount("regularization", regularization)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.regularization = regularization
        self.logits = nn.Embedding(self.vocabulary.num_tokens, size)
        if init_seed is None:
            nn.init.zeros_(self.logits.weight)
        else:
            nn.init.normal_(self.logits.weight, generator=torch.Generator().manual_seed(init_seed))

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.logits.weight: (0, 1)}

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return self.logits(context)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.logits(token), ()

    def training_loss(self, batch: Batch) -> Tensor:
        loss = super().training_loss(batch)
        if self.regularization == 0:
            return loss
        return loss + self.regularization * self.logits.weight.square().mean()

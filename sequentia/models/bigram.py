"""Bigram: the next character depends on the last one alone."""

import torch
from torch import Tensor, nn

from sequentia.models.base import LanguageModel, State


class Bigram(LanguageModel):
    """A `(V, V)` table of logits, trained by gradient descent: row, the last token; column, the next.

    Source: Shannon, "A mathematical theory of communication", 1948, section 3.
    """

    def __init__(self, vocabulary: str, context_length: int) -> None:
        super().__init__(vocabulary, context_length)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.logits = nn.Parameter(torch.zeros(size, size))

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return nn.functional.embedding(context, self.logits)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        return self.logits[token], ()

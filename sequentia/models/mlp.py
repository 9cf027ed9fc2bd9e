"""MLP: the next character depends on a fixed number of characters before it."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from sequentia.models.base import LanguageModel, State
from sequentia.models.parts.dropout import Dropout
from sequentia.models.parts.options import check_amount, check_sizes
from sequentia.models.parts.packing import label_part, positions, starts, windows
from sequentia.vocabulary import BOUNDARY, Plain


class MLP(LanguageModel):
    """The concatenated embeddings of the last tokens, and one tanh layer.

    Boundary tokens fill the window before the start of a line. If lines have labels, `label_part` is added to
    the embedding of each token, because the start of the line may be out of sight.

    Source: Bengio et al., "A neural probabilistic language model", 2003, without the optional direct connections.

    Args:
        window: Number of tokens read: the last one and those before it.
        n_embd: Channels of an embedding.
        n_hidden: Units of the tanh layer.
        dropout: Probability that a unit of the tanh layer is set to zero in training.

    Raises:
        UserError: An option is out of range.
    """

    may_change: ClassVar = frozenset({"context_length", "dropout"})

    def __init__(
        self,
        vocabulary: Plain,
        context_length: int,
        window: int = 6,
        n_embd: int = 24,
        n_hidden: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(window=window, n_embd=n_embd, n_hidden=n_hidden)
        check_amount("dropout", dropout, below=1)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.window = window
        self.embedding = nn.Embedding(self.vocabulary.num_tokens, n_embd)
        self.hidden = nn.Linear(window * n_embd, n_hidden)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(n_hidden, size)

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.embedding.weight: (0,), self.head.weight: (0,), self.head.bias: (0,)}

    def hidden_matrices(self) -> dict[Tensor, int]:
        return {self.hidden.weight: 1}

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        window = windows(context, position, self.window)
        return self._read(window, starts(context, positions(context, position)))

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if state is None:
            state = token.new_full((len(token), self.window - 1), BOUNDARY), token
        before, first = state
        window = torch.cat((token[:, None], before), 1)  # (B, window), the last token first
        return self._read(window, first), (window[:, :-1], first)

    def _read(self, window: Tensor, first: Tensor) -> Tensor:
        """Logits `(..., V)` from windows `(..., window)` and the first tokens of the lines `(...)`."""
        x = self.embedding(window)
        if self.vocabulary.labels:
            x = x + label_part(self.embedding, first)[..., None, :]
        x = torch.tanh(self.hidden(x.flatten(-2)))
        return self.head(self.dropout(x))

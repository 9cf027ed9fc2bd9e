"""BagOfWords: the next character depends on the mean of the characters before it."""

import torch
from torch import Tensor, nn

from sequentia.models.base import LanguageModel, State
from sequentia.models.parts.options import check_sizes
from sequentia.models.parts.packing import causal_mask, positions
from sequentia.vocabulary import Plain


class BagOfWords(LanguageModel):
    """The running mean of token and position embeddings, added to the last embedding, and a tanh MLP.

    Both are residual branches: `x + mean(x)`, then `x + MLP(x)`. The mean knows which tokens came before and how many,
    but not in which order.

    Source: the bag-of-words model of Karpathy's makemore, 2022; it is a Transformer block with uniform attention.

    Args:
        n_embd: Channels of the embeddings.
        n_hidden: Hidden units of the MLP.

    Raises:
        UserError: A size is below 1.
    """

    def __init__(self, vocabulary: Plain, context_length: int, n_embd: int = 64, n_hidden: int = 256) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_embd=n_embd, n_hidden=n_hidden)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.token_embedding = nn.Embedding(self.vocabulary.num_tokens, n_embd)
        self.position_embedding = nn.Embedding(context_length, n_embd)
        self.expand = nn.Linear(n_embd, n_hidden)
        self.proj = nn.Linear(n_hidden, n_embd)
        self.head = nn.Linear(n_embd, size)

    @property
    def max_positions(self) -> int:
        return self.context_length

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.token_embedding.weight: (0,), self.head.weight: (0,), self.head.bias: (0,)}

    def position_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.position_embedding.weight: (0,)}

    def hidden_matrices(self) -> dict[Tensor, int]:
        return {self.expand.weight: 1, self.proj.weight: 1}

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        position = positions(context, position)
        x = self.token_embedding(context) + self.position_embedding(position)  # (B, T, C)
        # A matrix product instead of a difference of prefix sums, which loses digits along the row.
        weight = causal_mask(position).to(x.dtype) / (position + 1)[:, :, None]  # (B, T, T), rows sum to 1
        return self._read(x, weight @ x)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if state is None:
            total = self.token_embedding.weight.new_zeros(len(token), self.token_embedding.embedding_dim)
            state = total, torch.zeros_like(token)
        total, position = state  # sum over the tokens so far, and their number
        x = self.token_embedding(token) + self.position_embedding(position)  # (B, C)
        total, position = total + x, position + 1
        return self._read(x, total / position[:, None]), (total, position)

    def _read(self, x: Tensor, mean: Tensor) -> Tensor:
        """Logits `(..., V)` from the embeddings and their running means, both `(..., C)`."""
        x = x + mean
        x = x + self.proj(torch.tanh(self.expand(x)))
        return self.head(x)

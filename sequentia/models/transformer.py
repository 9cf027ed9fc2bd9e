"""Transformer: GPT-2's architecture at any size."""

import math
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequentia.errors import UserError
from sequentia.models.base import LanguageModel, State
from sequentia.models.parts.dropout import Dropout
from sequentia.models.parts.options import check_amount, check_sizes
from sequentia.models.parts.packing import causal_mask, positions
from sequentia.vocabulary import Plain

Past = tuple[Tensor, Tensor]
"""Keys and values of all tokens so far, each `(B, H, t, D)`."""


class Attention(nn.Module):
    """Causal multi-head self-attention; query, key and value projections are one matrix, as in GPT-2."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.qkv = nn.Linear(n_embd, 3 * n_embd)
        self.proj = nn.Linear(n_embd, n_embd)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of all heads: `(B, T, C)` -> three of `(B, H, T, D)`."""
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: Tensor, mask: Tensor | None = None, past: Sequence[Tensor] = ()) -> tuple[Tensor, Past]:
        """`(B, T, C)` -> the same, and keys and values; `past` has those of earlier tokens, which `x` reads too."""
        q, k, v = self.heads(x)
        if past:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # softmax(q k^T / sqrt(D) + mask) v
        return self.proj(y.transpose(1, 2).flatten(2)), (k, v)  # (B, H, T, D) -> (B, T, C)

    def weights(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention weights: a row is a reading position, a column the position read; `(B, H, T, T)`, rows sum to 1."""
        q, k, _ = self.heads(x)
        return (q @ k.mT / math.sqrt(q.shape[-1]) + mask).softmax(-1)


class Block(nn.Module):
    """Pre-norm residual block: attention, then an MLP of 4 C hidden units with tanh-approximated GELU."""

    def __init__(self, n_embd: int, n_head: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(n_embd)
        self.attention = Attention(n_embd, n_head)
        self.norm2 = nn.LayerNorm(n_embd)
        self.expand = nn.Linear(n_embd, 4 * n_embd)
        self.proj = nn.Linear(4 * n_embd, n_embd)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None, past: Sequence[Tensor] = ()) -> tuple[Tensor, Past]:
        y, keys_and_values = self.attention(self.norm1(x), mask, past)
        x = x + self.dropout(y)
        y = self.proj(F.gelu(self.expand(self.norm2(x)), approximate="tanh"))
        return x + self.dropout(y), keys_and_values


class Transformer(LanguageModel):
    """GPT-2: learned positions, pre-norm blocks, a final norm, and a head that shares the token embedding.

    Sources: Radford et al., "Language models are unsupervised multitask learners", 2019; attention: Vaswani et al.,
    "Attention is all you need", 2017; tied head: Press & Wolf, "Using the output embedding to improve language
    models", 2017.

    Args:
        n_layer: Number of blocks.
        n_head: Attention heads per block.
        n_embd: Channels; a multiple of `n_head`.
        dropout: Probability that an activation of the embeddings and residual branches (not an attention weight)
            is set to zero in training. Without it, a model overfits names before the learning rate decays.
        tied: Whether the output head shares the matrix of the token embedding.

    Raises:
        UserError: An option is out of range.
    """

    may_change: ClassVar = frozenset({"dropout"})

    def __init__(
        self,
        vocabulary: Plain,
        context_length: int,
        n_layer: int = 4,
        n_head: int = 4,
        n_embd: int = 64,
        dropout: float = 0.1,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_layer=n_layer, n_head=n_head, n_embd=n_embd)
        check_amount("dropout", dropout, below=1)
        if n_embd % n_head:
            raise UserError(f"n_embd must be a multiple of n_head, got {n_embd} and {n_head}")
        self.save_hyperparameters(logger=False)
        self.token_embedding = nn.Embedding(self.vocabulary.num_tokens, n_embd)
        self.position_embedding = nn.Embedding(context_length, n_embd)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(n_embd, n_head, dropout) for _ in range(n_layer))
        self.norm = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, self.vocabulary.num_tokens if tied else len(self.vocabulary), bias=False)
        if tied:
            self.head.weight = self.token_embedding.weight
        self._init_weights()

    def _init_weights(self) -> None:
        """GPT-2's: normal with deviation 0.02, residual projections scaled by 1/sqrt(2 n_layer), biases 0, gains 1."""
        residual = {proj.weight for block in self._blocks() for proj in (block.attention.proj, block.proj)}
        for parameter in self.parameters():
            if parameter.ndim == 2:
                scale = 1 / math.sqrt(2 * len(self.blocks)) if parameter in residual else 1.0
                nn.init.normal_(parameter, std=0.02 * scale)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def _blocks(self) -> list[Block]:
        return [cast(Block, block) for block in self.blocks]

    @property
    def max_positions(self) -> int:
        return self.context_length

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.token_embedding.weight: (0,), self.head.weight: (0,)}

    def position_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.position_embedding.weight: (0,)}

    def hidden_matrices(self) -> dict[Tensor, int]:
        return {
            weight: stacked
            for block in self._blocks()
            for weight, stacked in (
                (block.attention.qkv.weight, 3),
                (block.attention.proj.weight, 1),
                (block.expand.weight, 1),
                (block.proj.weight, 1),
            )
        }

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        x, mask = self._embed(context, positions(context, position))
        for block in self.blocks:
            x, _ = block(x, mask)
        return self._logits(x)

    def _logits(self, x: Tensor) -> Tensor:
        """Logits `(..., V)` from the output of the last block `(..., C)`; the rows of labels are only read."""
        return F.linear(self.norm(x), self.head.weight[: len(self.vocabulary)])

    def _embed(self, context: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """The input of the first block `(B, T, C)`, and the mask of every attention `(B, 1, T, T)`: 0 or -inf."""
        mask = torch.zeros((), device=context.device).where(causal_mask(position), -math.inf)[:, None]
        return self.dropout(self.token_embedding(context) + self.position_embedding(position)), mask

    def attention(self, context: Tensor) -> Tensor:
        x, mask = self._embed(context, positions(context, None))
        weights: list[Tensor] = []
        for block in self._blocks():
            weights.append(block.attention.weights(block.norm1(x), mask))
            x, _ = block(x, mask)
        return torch.stack(weights, 1)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        position = 0 if state is None else state[0].shape[2]  # number of tokens in the cache
        x = (self.token_embedding(token) + self.position_embedding.weight[position])[:, None]  # (B, 1, C)
        cache: list[Tensor] = []
        for i, block in enumerate(self._blocks()):
            x, past = block(x, past=() if state is None else state[2 * i : 2 * i + 2])
            cache += past
        return self._logits(x)[:, 0], tuple(cache)

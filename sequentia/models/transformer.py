"""Transformer: GPT-2's architecture at any size."""

import math
from typing import cast

import torch
from torch import Tensor, nn

from sequentia.errors import UserError
from sequentia.models import block_kernel
from sequentia.models.base import LanguageModel, State, check_dropout, check_sizes
from sequentia.models.kernels import Dropout, attention, gelu
from sequentia.models.packing import positions, seen


class Attention(nn.Module):
    """Causal multi-head self-attention with GPT-2's packed query, key and value matrix."""

    def __init__(self, n_embd: int, n_head: int) -> None:
        super().__init__()
        self.n_head = n_head
        self.qkv = nn.Linear(n_embd, 3 * n_embd)
        self.proj = nn.Linear(n_embd, n_embd)

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of each head: `(B, T, C)` -> three of `(B, H, T, D)`."""
        B, T, C = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.heads(x)
        y = attention(q, k, v, mask)
        return self.proj(y.transpose(1, 2).flatten(2))  # (B, H, T, D) -> (B, T, C)

    def step(self, x: Tensor, keys: Tensor | None, values: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """One position `(B, 1, C)` against the cache `(B, H, t, D)` of those before; returns the longer cache."""
        q, k, v = self.heads(x)
        keys = k if keys is None else torch.cat((keys, k), 2)
        values = v if values is None else torch.cat((values, v), 2)
        # Written out: for a single query PyTorch's fused kernel is slower.
        y = (q @ keys.mT / math.sqrt(q.shape[-1])).softmax(-1) @ values  # (B, H, 1, t) @ (B, H, t, D)
        return self.proj(y.transpose(1, 2).flatten(2)), keys, values


class Block(nn.Module):
    """Pre-norm residual block: attention, then a 4x wider MLP with tanh-approximated GELU."""

    def __init__(self, n_embd: int, n_head: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(n_embd)
        self.attention = Attention(n_embd, n_head)
        self.norm2 = nn.LayerNorm(n_embd)
        self.expand = nn.Linear(n_embd, 4 * n_embd)
        self.proj = nn.Linear(4 * n_embd, n_embd)
        self.dropout = Dropout(dropout)

    def mlp(self, x: Tensor) -> Tensor:
        """The second half of the block, `(B, T, C)` to the same."""
        return self.dropout(self.proj(gelu(self.expand(self.norm2(x)))))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        if block_kernel.usable(x, mask):
            return self._at_once(x, mask)
        x = x + self.dropout(self.attention(self.norm1(x), mask))
        return x + self.mlp(x)

    def _at_once(self, x: Tensor, mask: Tensor) -> Tensor:
        """The same as a single function, for speed: forward hooks of the layers inside are not called."""
        layers = (self.norm1, self.attention.qkv, self.attention.proj, self.norm2, self.expand, self.proj)
        parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
        share = self.dropout.share if self.training else 0.0
        return block_kernel.block(x, mask, self.attention.n_head, share, *parameters)

    def step(self, x: Tensor, keys: Tensor | None, values: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        y, keys, values = self.attention.step(self.norm1(x), keys, values)
        x = x + y
        return x + self.mlp(x), keys, values


class Transformer(LanguageModel):
    """GPT-2: learned positions, pre-norm blocks, a final norm, and a head that shares the token embedding.

    Sources: Radford et al., "Language models are unsupervised multitask learners", 2019; attention: Vaswani et al.,
    "Attention is all you need", 2017; tied head: Press & Wolf, "Using the output embedding to improve language
    models", 2017.

    Args:
        n_layer: Number of blocks.
        n_head: Attention heads of a block.
        n_embd: Channels; a multiple of `n_head`.
        dropout: Share of activations set to zero in training: embeddings and residual branches (not attention weights).
        tied: Whether the output head shares the token embedding's matrix.

    Raises:
        UserError: A size is out of its range.
    """

    def __init__(
        self,
        vocabulary: str,
        context_length: int,
        n_layer: int = 4,
        n_head: int = 4,
        n_embd: int = 64,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_layer=n_layer, n_head=n_head, n_embd=n_embd)
        check_dropout(dropout)
        if n_embd % n_head:
            raise UserError(f"model.n_embd must be a multiple of model.n_head, got {n_embd} and {n_head}")
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.token_embedding = nn.Embedding(size, n_embd)
        self.position_embedding = nn.Embedding(context_length, n_embd)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(n_embd, n_head, dropout) for _ in range(n_layer))
        self.norm = nn.LayerNorm(n_embd)
        self.head = nn.Linear(n_embd, size, bias=False)
        if tied:
            self.head.weight = self.token_embedding.weight
        self._initialise()

    def _initialise(self) -> None:
        """GPT-2's: normal with deviation 0.02, biases 0; projections onto the residual stream scaled by 1/sqrt(2N)."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2:
                residual = name.endswith("proj.weight")
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * len(self.blocks)) if residual else 1.0))

    @property
    def max_positions(self) -> int:
        return self.context_length

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        position = positions(context, position)
        # Added to the scores, the same for all heads: (B, 1, T, T).
        mask = torch.zeros((), device=context.device).where(seen(position), -math.inf)[:, None]
        x = self.dropout(self.token_embedding(context) + self.position_embedding(position))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        position = 0 if state is None else state[0].shape[2]  # tokens in the cache
        x = (self.token_embedding(token) + self.position_embedding.weight[position])[:, None]  # (B, 1, C)
        caches: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            keys, values = (None, None) if state is None else state[2 * i : 2 * i + 2]
            x, keys, values = cast(Block, block).step(x, keys, values)
            caches += keys, values
        return self.head(self.norm(x))[:, 0], tuple(caches)

"""Transformers side by side, whose probabilities are averaged."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from sequentia.models.base import Batch, LanguageModel, State, check_sizes
from sequentia.models.transformer import Transformer


class TransformerEnsemble(LanguageModel):
    """Transformers that differ in their first weights and their dropout alone; the mean of their probabilities.

    On data so small that one model learns it by heart before it has learnt what can be learnt from it, each strays in
    another direction, and the mean stays nearer to the truth than a larger model does.

    Source: Hansen & Salamon, "Neural network ensembles", 1990.

    Args:
        n_members: Number of transformers.
        n_layer: Blocks of each; this and what follows as in `Transformer`.
        n_head: Attention heads of a block.
        n_embd: Channels.
        dropout: Share of activations set to zero in training.
        tied: Whether the output head shares the token embedding's matrix.

    Raises:
        UserError: A size is out of its range.
    """

    def __init__(
        self,
        vocabulary: str,
        context_length: int,
        n_members: int = 4,
        n_layer: int = 4,
        n_head: int = 4,
        n_embd: int = 64,
        dropout: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_members=n_members)
        self.save_hyperparameters(logger=False)
        sizes = (n_layer, n_head, n_embd, dropout, tied)
        self.members = nn.ModuleList(Transformer(vocabulary, context_length, *sizes) for _ in range(n_members))

    @property
    def max_positions(self) -> int:
        return self.context_length

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the members, which training calls one by one; options are `torch.compile`'s."""
        for member in self.members:
            member.compile(*args, **kwargs)

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return self._mean([member(context, position) for member in self.members])

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        share = 0 if state is None else len(state) // len(self.members)
        logits: list[Tensor] = []
        after: list[Tensor] = []
        for i, member in enumerate(self.members):
            theirs = None if state is None else state[i * share : (i + 1) * share]
            stepped, reached = cast(Transformer, member).step(token, theirs)
            logits.append(stepped)
            after += reached
        return self._mean(logits), tuple(after)

    def training_loss(self, batch: Batch) -> Tensor:
        """The mean of the members' own losses: trained for their mean's, they would all become one model."""
        losses = [cast(Transformer, member).nll_sum(batch) for member in self.members]
        return torch.stack(losses).mean() / batch.total

    def _mean(self, logits: list[Tensor]) -> Tensor:
        """Logarithm of the mean of the members' probabilities."""
        return torch.stack(logits).float().log_softmax(-1).logsumexp(0) - math.log(len(logits))

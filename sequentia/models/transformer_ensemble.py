"""TransformerEnsemble: several Transformers whose probabilities are averaged."""

import math
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from sequentia.models.base import Batch, LanguageModel, State, check_sizes
from sequentia.models.transformer import Transformer


class TransformerEnsemble(LanguageModel):
    """Transformers that differ only in initial weights and dropout; the mean of their probabilities.

    On small data each model overfits in its own direction before it has learned all there is to learn; the mean of
    several is more accurate than one larger model.

    Source: Hansen & Salamon, "Neural network ensembles", 1990.

    Args:
        n_members: Number of Transformers.
        n_layer: Number of blocks of each; this and the following options as in `Transformer`.
        n_head: Attention heads per block.
        n_embd: Channels; a multiple of `n_head`.
        dropout: Probability with which an activation is set to zero in training.
        tied: Whether the output head shares the matrix of the token embedding.

    Raises:
        UserError: An option is out of range.
    """

    may_change: ClassVar = frozenset({"dropout"})

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
        options = (n_layer, n_head, n_embd, dropout, tied)
        self.members = nn.ModuleList(Transformer(vocabulary, context_length, *options) for _ in range(n_members))

    def _members(self) -> list[Transformer]:
        return [cast(Transformer, member) for member in self.members]

    @property
    def max_positions(self) -> int:
        return self.context_length

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {weight: dims for member in self._members() for weight, dims in member.vocabulary_dims().items()}

    def position_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {weight: dims for member in self._members() for weight, dims in member.position_dims().items()}

    def hidden_matrices(self) -> dict[Tensor, int]:
        return {weight: n for member in self._members() for weight, n in member.hidden_matrices().items()}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the members, which training calls one by one; the options are those of `torch.compile`."""
        for member in self.members:
            member.compile(*args, **kwargs)

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return self._mean([member(context, position) for member in self.members])

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        size = 0 if state is None else len(state) // len(self.members)  # tensors in a member's state
        logits: list[Tensor] = []
        after: list[Tensor] = []
        for i, member in enumerate(self._members()):
            before = None if state is None else state[i * size : (i + 1) * size]
            member_logits, member_state = member.step(token, before)
            logits.append(member_logits)
            after += member_state
        return self._mean(logits), tuple(after)

    def training_loss(self, batch: Batch) -> Tensor:
        """The mean of the members' own losses; the loss of the mean would make all members alike."""
        losses = [member.nll_sum(batch) for member in self._members()]
        return torch.stack(losses).mean() / batch.total

    def _mean(self, logits: list[Tensor]) -> Tensor:
        """Logarithm of the mean of the members' probabilities."""
        return torch.stack(logits).float().log_softmax(-1).logsumexp(0) - math.log(len(logits))

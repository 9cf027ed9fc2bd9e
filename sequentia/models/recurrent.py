"""What the recurrent architectures share: all but the recurrence itself."""

from abc import abstractmethod
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sequentia.models.base import LanguageModel, State, check_dropout, check_sizes
from sequentia.models.kernels import Dropout
from sequentia.models.packing import time_order


class Recurrent(LanguageModel):
    """Embedding, recurrent layers that run over each line from a learned start state, and a linear head.

    Weights start as in PyTorch: embeddings normal, all others uniform within 1/sqrt(n_hidden).

    Args:
        n_layer: Number of recurrent layers.
        n_embd: Channels of the embedding.
        n_hidden: Units of a recurrent layer.
        dropout: Share of activations set to zero in training, on the way into, between and out of the layers but not
            along the line (Zaremba et al., "Recurrent neural network regularization", 2014).

    Raises:
        UserError: An option is out of its range.
    """

    n_states = 1
    """Vectors that a layer carries along the line."""

    def __init__(
        self,
        vocabulary: str,
        context_length: int,
        n_layer: int = 1,
        n_embd: int = 32,
        n_hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_layer=n_layer, n_embd=n_embd, n_hidden=n_hidden)
        check_dropout(dropout)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.embedding = nn.Embedding(size, n_embd)
        # PyTorch warns of dropout between layers where there is but one.
        self.layers = self.make_layers(n_embd, n_hidden, n_layer, dropout if n_layer > 1 else 0.0)
        # Flat, so that weight decay takes it for the vectors that it is.
        self.start = nn.Parameter(torch.zeros(self.n_states * n_layer * n_hidden))
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(n_hidden, size)

    @abstractmethod
    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        """PyTorch's module, batch first."""

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        if position is None:  # each row is one line: nothing to sort, and nothing that an export could not follow
            y, _ = self._run(self.dropout(self.embedding(context)), self._start(context.shape[0]))
            return self.head(self.dropout(y))
        order = time_order(position)
        tokens = torch.empty_like(context).flatten().scatter(0, order.to, context.flatten())
        packed = PackedSequence(self.dropout(self.embedding(tokens)), order.batch_sizes)
        y, _ = self._run(packed, self._start(order.lines))
        return self.head(self.dropout(y.data))[order.to].view(*context.shape, -1)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if state is None:
            state = self._start(len(token))
        y, state = self._run(self.dropout(self.embedding(token))[:, None], state)
        return self.head(self.dropout(y[:, 0])), state

    def _start(self, lines: int) -> State:
        start = self.start.view(self.n_states, 1, self.layers.num_layers, self.layers.hidden_size)
        return tuple(start.expand(-1, lines, -1, -1))

    def _run(self, x: Tensor | PackedSequence, state: State) -> tuple[Any, State]:
        """The layers from `state`, each `(B, layers, C)`; PyTorch has the layers first, and a lone state bare."""
        states = tuple(tensor.transpose(0, 1).contiguous() for tensor in state)
        y, after = self.layers(x, states if self.n_states > 1 else states[0])
        after = cast(State, after if self.n_states > 1 else (after,))
        return y, tuple(tensor.transpose(0, 1) for tensor in after)

"""The base class of RNN, GRU and LSTM: everything but the recurrence itself."""

from abc import abstractmethod
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sequentia.models.base import LanguageModel, State
from sequentia.models.parts.dropout import Dropout
from sequentia.models.parts.options import check_amount, check_sizes
from sequentia.models.parts.packing import time_order
from sequentia.vocabulary import Plain


class Recurrent(LanguageModel):
    """Embedding, recurrent layers that run along each line from a learned initial state, and a linear head.

    Initial weights are PyTorch's: embeddings normal, the others uniform within 1/sqrt(n_hidden).

    Args:
        n_layer: Number of recurrent layers.
        n_embd: Channels of the embedding.
        n_hidden: Units of a recurrent layer.
        dropout: Probability that an activation is set to zero in training: at the input, between layers and at
            the output, but not along the line (Zaremba et al., "Recurrent neural network regularization", 2014).

    Raises:
        UserError: An option is out of range.

    Attributes:
        n_states: Vectors that a layer carries along the line.
        n_gates: Matrices that a layer's weights stack along their rows.
    """

    may_change: ClassVar = frozenset({"context_length", "dropout"})
    n_states: ClassVar = 1
    n_gates: ClassVar = 1

    def __init__(
        self,
        vocabulary: Plain,
        context_length: int,
        n_layer: int = 1,
        n_embd: int = 32,
        n_hidden: int = 128,
        dropout: float = 0.2,  # by validation NLL
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_layer=n_layer, n_embd=n_embd, n_hidden=n_hidden)
        check_amount("dropout", dropout, below=1)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.embedding = nn.Embedding(self.vocabulary.num_tokens, n_embd)
        # PyTorch warns about dropout between layers if there is only one.
        self.layers = self.make_layers(n_embd, n_hidden, n_layer, dropout if n_layer > 1 else 0.0)
        # One flat vector: weight decay, which applies to matrices only, must not pull the initial state to zero.
        self.start = nn.Parameter(torch.zeros(self.n_states * n_layer * n_hidden))
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(n_hidden, size)

    @abstractmethod
    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        """PyTorch's recurrent module, batch first."""

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.embedding.weight: (0,), self.head.weight: (0,), self.head.bias: (0,)}

    def hidden_matrices(self) -> dict[Tensor, int]:
        return {weight: self.n_gates for weight in self.layers.parameters() if weight.ndim == 2}

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        if position is None:  # each row is one line: no sorting needed, and ONNX can trace it
            y, _ = self._run(self.dropout(self.embedding(context)), self._start(context.shape[0]))
            return self.head(self.dropout(y))
        order = time_order(position)
        tokens = torch.empty_like(context).flatten().scatter(0, order.slots, context.flatten())
        packed = PackedSequence(self.dropout(self.embedding(tokens)), order.batch_sizes)
        y, _ = self._run(packed, self._start(order.lines))
        return self.head(self.dropout(y.data))[order.slots].view(*context.shape, -1)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        if state is None:
            state = self._start(len(token))
        y, state = self._run(self.dropout(self.embedding(token))[:, None], state)
        return self.head(self.dropout(y[:, 0])), state

    def _start(self, lines: int) -> State:
        start = self.start.view(self.n_states, 1, self.layers.num_layers, self.layers.hidden_size)
        return tuple(start.expand(-1, lines, -1, -1))

    def _run(self, x: Tensor | PackedSequence, state: State) -> tuple[Any, State]:
        """Run the layers from `state`, each tensor `(B, layers, C)`.

        PyTorch puts the layers first, and takes a single state without a tuple.
        """
        states = tuple(tensor.transpose(0, 1).contiguous() for tensor in state)
        y, after = self.layers(x, states if self.n_states > 1 else states[0])
        after = cast(State, after if self.n_states > 1 else (after,))
        return y, tuple(tensor.transpose(0, 1) for tensor in after)

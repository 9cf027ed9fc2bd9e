"""CNN: dilated causal convolutions."""

from collections.abc import Callable
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequentia.models.base import LanguageModel, State
from sequentia.models.parts.dropout import Dropout
from sequentia.models.parts.options import check_amount, check_sizes
from sequentia.models.parts.packing import label_part, positions, starts
from sequentia.vocabulary import Plain

_CYCLE = 10  # layers until the dilations restart: WaveNet's


class CNN(LanguageModel):
    """WaveNet: gated convolutions with two taps, now and `dilation` tokens earlier, with residuals and skips.

    Dilations double from layer to layer, 1, 2, 4, ..., 512, and then restart at 1.
    Before the start of a line every layer reads zeros. If lines have labels, `label_part` is added to the embedding of
    each token, because the start of the line may be out of sight.

    Source: van den Oord et al., "WaveNet: a generative model for raw audio", 2016.

    Args:
        n_layer: Number of dilated layers. The first n of them see the last 2^n tokens, until the dilations restart.
        n_embd: Channels of all layers.
        dropout: Probability that a gated output is set to zero in training.

    Raises:
        UserError: An option is out of range.
    """

    may_change: ClassVar = frozenset({"context_length", "dropout"})

    def __init__(
        self, vocabulary: Plain, context_length: int, n_layer: int = 4, n_embd: int = 64, dropout: float = 0.1
    ) -> None:
        super().__init__(vocabulary, context_length)
        check_sizes(n_layer=n_layer, n_embd=n_embd)
        check_amount("dropout", dropout, below=1)
        self.save_hyperparameters(logger=False)
        size = len(self.vocabulary)
        self.dilations = [2 ** (i % _CYCLE) for i in range(n_layer)]
        self.embedding = nn.Embedding(self.vocabulary.num_tokens, n_embd)
        # A convolution with two taps is one matrix product with both taps concatenated; it stacks signal and gate.
        self.gates = nn.ModuleList(nn.Linear(2 * n_embd, 2 * n_embd) for _ in range(n_layer))
        self.residuals = nn.ModuleList(nn.Linear(n_embd, n_embd) for _ in range(n_layer - 1))  # unused after the last
        # The sum of all skip connections is one product with the concatenated outputs of the layers.
        self.skip = nn.Linear(n_layer * n_embd, n_embd)
        self.mix = nn.Linear(n_embd, n_embd)
        self.dropout = Dropout(dropout)
        self.head = nn.Linear(n_embd, size)

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {self.embedding.weight: (0,), self.head.weight: (0,), self.head.bias: (0,)}

    def hidden_matrices(self) -> dict[Tensor, int]:
        stacked = [(gates, 2) for gates in self.gates]  # signal and gate
        single = [(layer, 1) for layer in (*self.residuals, self.skip, self.mix)]
        return {cast(nn.Linear, layer).weight: n for layer, n in (*stacked, *single)}

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        position = positions(context, position)
        in_line = {d: (position >= d)[:, :, None] for d in self.dilations}  # (B, T, 1)

        def back(i: int, x: Tensor) -> Tensor:
            d = self.dilations[i]
            return torch.cat((torch.zeros_like(x[:, :d]), x[:, :-d]), 1) * in_line[d]

        x = self.embedding(context)
        if self.vocabulary.labels:
            x = x + label_part(self.embedding, starts(context, position))
        return self._read(x, back)

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        x = self.embedding(token)  # (B, C)
        # The last inputs of each layer, at most as many as its dilation: (B, up to dilation, C), oldest first.
        inputs = [x.new_zeros(len(x), 0, x.shape[1]) for _ in self.dilations] if state is None else list(state)
        label = []
        if self.vocabulary.labels:
            label = [token if state is None else inputs.pop()]
            x = x + label_part(self.embedding, label[0])

        def back(i: int, x: Tensor) -> Tensor:
            d = self.dilations[i]
            oldest = inputs[i][:, : 1 - d or None]  # (B, 1, C) if there are d inputs, and otherwise none
            inputs[i] = torch.cat((inputs[i], x[:, None]), 1)[:, -d:]
            return oldest.sum(1)

        return self._read(x, back), (*inputs, *label)

    def _read(self, x: Tensor, back: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Logits `(..., V)` from embeddings `(..., C)`; `back(i, x)` is the earlier tap of layer i with input x."""
        outputs: list[Tensor] = []
        for i, gates in enumerate(self.gates):
            if i > 0:
                x = x + self.residuals[i - 1](outputs[-1])
            signal, gate = gates(torch.cat((back(i, x), x), -1)).chunk(2, -1)
            outputs.append(self.dropout(torch.tanh(signal) * torch.sigmoid(gate)))
        y = self.skip(torch.cat(outputs, -1))
        return self.head(F.relu(self.mix(F.relu(y))))

"""GRU: gated recurrent units."""

from typing import ClassVar

from torch import nn

from sequentia.models.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent units: `h = (1 - z) n + z h'` with `n = tanh(W x + b + r (U h' + c))`.

    The reset gate r, the update gate z and the candidate n are stacked in this order. The gates are sigmoids of the
    token x and the previous state h'. Of the two published variants this is the one that PyTorch and cuDNN implement:
    it resets after the matrix product, `r (U h' + c)`, instead of before it, `U (r h')`, so that all products with h'
    are one.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014 (the first arXiv version
    resets after the product, later versions before it).
    """

    n_gates: ClassVar = 3

    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        return nn.GRU(n_embd, n_hidden, n_layer, batch_first=True, dropout=dropout)

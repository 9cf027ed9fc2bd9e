"""GRU: a gated recurrence."""

from torch import nn

from sequentia.models.recurrent import Recurrent


class GRU(Recurrent):
    """Gated recurrent units: `h = (1 - z) n + z h'`, with `n = tanh(W x + b + r (U h' + c))`.

    The update gate z and the reset gate r are sigmoids of the token x and the state h' before it. Of the two published
    variants this is the one that resets after the matrix product, `r (U h' + c)`; the other multiplies first,
    `U (r h')`. It is the variant that PyTorch and cuDNN have, because all products with h' then need no gate first and
    are one.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014 (first version on arXiv: reset
    after the product; later ones: before).
    """

    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        return nn.GRU(n_embd, n_hidden, n_layer, batch_first=True, dropout=dropout)

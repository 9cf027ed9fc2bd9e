"""LSTM: long short-term memory."""

from torch import nn

from sequentia.models.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory: a cell `c = f c' + i g` that gates write and read, `h = o tanh(c)`.

    The gates i, f, o (sigmoid) and the candidate g (tanh) are of the token x and the output h' before it.

    Sources: Hochreiter & Schmidhuber, "Long short-term memory", 1997; forget gate: Gers et al., "Learning to forget",
    2000; as a character model: Graves, "Generating sequences with recurrent neural networks", 2014, without peepholes.
    """

    n_states = 2

    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        layers = nn.LSTM(n_embd, n_hidden, n_layer, batch_first=True, dropout=dropout)
        for name, parameter in layers.named_parameters():
            if name.startswith("bias_ih"):
                # Open forget gates let the first gradients reach back (Jozefowicz et al. 2015).
                nn.init.ones_(parameter.data[n_hidden : 2 * n_hidden])  # the order is i, f, g, o
        return layers

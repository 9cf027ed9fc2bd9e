"""LSTM: long short-term memory."""

from typing import ClassVar

from torch import nn

from sequentia.models.recurrent import Recurrent


class LSTM(Recurrent):
    """Long short-term memory: a gated cell `c = f c' + i g`, and the output `h = o tanh(c)`.

    The gates i, f and o (sigmoid) and the candidate g (tanh) depend on the token x and the previous output h'.

    Sources: Hochreiter & Schmidhuber, "Long short-term memory", 1997; forget gate: Gers et al., "Learning to forget",
    2000; as a character model: Graves, "Generating sequences with recurrent neural networks", 2014, without peepholes.
    """

    n_states: ClassVar = 2
    n_gates: ClassVar = 4

    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        layers = nn.LSTM(n_embd, n_hidden, n_layer, batch_first=True, dropout=dropout)
        for name, parameter in layers.named_parameters():
            if name.startswith("bias_ih"):
                # Open forget gates let early gradients flow far back (Jozefowicz et al. 2015). The order is i, f, g, o.
                nn.init.ones_(parameter.data[n_hidden : 2 * n_hidden])
        return layers

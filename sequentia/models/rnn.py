"""RNN: Elman's recurrence."""

from torch import nn

from sequentia.models.recurrent import Recurrent
from sequentia.vocabulary import Plain


class RNN(Recurrent):
    """A hidden state `h = tanh(W x + b + U h' + c)` of the token x and the previous state h'.

    Source: Mikolov et al., "Recurrent neural network based language model", 2010, with tanh instead of the sigmoid; the
    recurrence is Elman's ("Finding structure in time", 1990).
    """

    def __init__(
        self,
        vocabulary: Plain,
        context_length: int,
        n_layer: int = 1,
        n_embd: int = 32,
        n_hidden: int = 128,
        dropout: float = 0.1,  # by validation NLL; less than with gates
    ) -> None:
        super().__init__(vocabulary, context_length, n_layer, n_embd, n_hidden, dropout)

    def make_layers(self, n_embd: int, n_hidden: int, n_layer: int, dropout: float) -> nn.RNNBase:
        return nn.RNN(n_embd, n_hidden, n_layer, batch_first=True, dropout=dropout)

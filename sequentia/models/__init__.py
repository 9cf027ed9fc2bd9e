"""The architectures, one per file, all on one base class."""

from sequentia.models.base import LanguageModel
from sequentia.models.bigram import Bigram
from sequentia.models.bigram_counts import BigramCounts
from sequentia.models.bow import BagOfWords
from sequentia.models.cnn import CNN
from sequentia.models.gru import GRU
from sequentia.models.lstm import LSTM
from sequentia.models.mixture import Mixture
from sequentia.models.mlp import MLP
from sequentia.models.ngram import NGram
from sequentia.models.rnn import RNN
from sequentia.models.transformer import Transformer

ARCHITECTURES: dict[str, type[LanguageModel]] = {
    cls.__name__: cls
    for cls in (Bigram, BigramCounts, NGram, BagOfWords, MLP, RNN, GRU, LSTM, CNN, Transformer, Mixture)
}
"""Every architecture by name: what a checkpoint may name, and what the shared tests run on."""

__all__ = ["ARCHITECTURES", "LanguageModel", *ARCHITECTURES]

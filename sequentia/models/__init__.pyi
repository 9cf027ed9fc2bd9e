# The names of `sequentia.models` for editors and type checkers. At run time they come from the registry.
from sequentia.models.base import ARCHITECTURES as ARCHITECTURES
from sequentia.models.base import LanguageModel as LanguageModel
from sequentia.models.bigram import Bigram as Bigram
from sequentia.models.bigram_counts import BigramCounts as BigramCounts
from sequentia.models.bow import BagOfWords as BagOfWords
from sequentia.models.cnn import CNN as CNN
from sequentia.models.gru import GRU as GRU
from sequentia.models.lstm import LSTM as LSTM
from sequentia.models.mixture import Mixture as Mixture
from sequentia.models.mlp import MLP as MLP
from sequentia.models.ngram import NGram as NGram
from sequentia.models.rnn import RNN as RNN
from sequentia.models.transformer import Transformer as Transformer

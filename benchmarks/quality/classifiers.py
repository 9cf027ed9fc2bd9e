"""Classifiers of lines to compare with: n-gram Bayes of scikit-learn, and the network of PyTorch's tutorial."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from torch import Tensor, nn

from sequentia.vocabulary import Vocabulary

SMOOTHING = (1.0, 0.3, 0.1, 0.03, 0.01)


class Examples(NamedTuple):
    """Lines, and the index of the label of each, `(N,)`."""

    texts: list[str]
    labels: NDArray[np.int64]


class Quality(NamedTuple):
    """Fraction of the lines whose most probable label is theirs, and mean NLL of their labels in nats."""

    accuracy: float
    log_loss: float


def quality(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> Quality:
    """The quality of the probabilities `(N, K)` of the labels."""
    own = probabilities[np.arange(len(labels)), labels].clip(1e-300)
    return Quality(float((probabilities.argmax(1) == labels).mean()), float(-np.log(own).mean()))


def chosen(candidates: Iterable[tuple[Quality, Quality]]) -> Quality:
    """Each metric on the test lines, of the candidate with the best one on the validation lines."""
    pairs = list(candidates)
    _, accuracy = max(pairs, key=lambda pair: pair[0].accuracy)
    _, log_loss = min(pairs, key=lambda pair: pair[0].log_loss)
    return Quality(accuracy.accuracy, log_loss.log_loss)


def bayes(train: Examples, val: Examples, test: Examples) -> Quality:
    """Multinomial naive Bayes on character n-grams of length 1 to 4, start and end included."""
    count = CountVectorizer(analyzer="char", ngram_range=(1, 4), lowercase=False, preprocessor="\2{}\3".format)
    matrices = [count.fit_transform(train.texts), count.transform(val.texts), count.transform(test.texts)]

    def candidates() -> Iterator[tuple[Quality, Quality]]:
        for smoothing in SMOOTHING:
            model = MultinomialNB(alpha=smoothing).fit(matrices[0], train.labels)
            yield (
                quality(model.predict_proba(matrices[1]), val.labels),
                quality(model.predict_proba(matrices[2]), test.labels),
            )

    return chosen(candidates())


class CharRNN(nn.Module):
    """The network of "NLP From Scratch: Classifying Names with a Character-Level RNN": one-hot, tanh RNN, linear."""

    def __init__(self, size: int, labels: int) -> None:
        super().__init__()
        self.size = size
        self.rnn = nn.RNN(size, 128, batch_first=True)
        self.head = nn.Linear(128, labels)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        states, _ = self.rnn(F.one_hot(ids[:, : lengths.max()], self.size).float())  # (N, T, 128)
        return self.head(states[torch.arange(len(lengths)), lengths - 1])


def recurrent(
    train: Examples, val: Examples, test: Examples, vocabulary: Vocabulary, seconds: float, seed: int
) -> Quality:
    """Train `CharRNN` for some CPU seconds, on batches of 64 lines as in the tutorial; each metric at its best epoch.

    Padded batches and Adam reach a higher accuracy in the time than the tutorial's loop over names and SGD.
    """
    tensors = [_tensors(examples, vocabulary) for examples in (train, val, test)]
    torch.manual_seed(seed)
    model = CharRNN(len(vocabulary), len(vocabulary.labels))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def candidates() -> Iterator[tuple[Quality, Quality]]:
        used = 0.0
        while used < seconds:
            start = time.process_time()
            for lines in torch.randperm(len(train.texts)).split(64):
                ids, lengths, labels = (tensor[lines] for tensor in tensors[0])
                optimizer.zero_grad()
                F.cross_entropy(model(ids, lengths), labels).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 3)
                optimizer.step()
            used += time.process_time() - start
            with torch.inference_mode():
                probabilities = [model(ids, lengths).softmax(1).numpy() for ids, lengths, _ in tensors[1:]]
            yield quality(probabilities[0], val.labels), quality(probabilities[1], test.labels)

    return chosen(candidates())


def _tensors(examples: Examples, vocabulary: Vocabulary) -> tuple[Tensor, Tensor, Tensor]:
    """Ids `(N, T)`, padded with 0, lengths and labels `(N,)`."""
    ids = [torch.from_numpy(vocabulary.encode(text)) for text in examples.texts]
    lengths = torch.tensor([len(line) for line in ids])
    return nn.utils.rnn.pad_sequence(ids, batch_first=True), lengths, torch.from_numpy(examples.labels)

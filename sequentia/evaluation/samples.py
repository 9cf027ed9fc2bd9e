"""Sampled lines beside the data: are they distinct, new, and distributed like the held-out lines?

Unique@k and novelty are the usual metrics of generated molecules: Polykovskiy et al., "Molecular Sets (MOSES)",
Frontiers in Pharmacology 2020.
"""

from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sequentia.data import CharDataModule
from sequentia.data.batches import make_batch
from sequentia.data.split import Lines
from sequentia.inference.batch import encode
from sequentia.vocabulary import BOUNDARY

_LINES = 100_000  # about how many held-out lines bigrams are counted in, which bounds the memory
_HASHED = 20_000  # characters of edited texts hashed for each sample, on average: at most 0.3 seconds for 200

Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Distinct integers in ascending order, and how often each occurs; both of shape `(N,)`."""


def merged(a: Counts, b: Counts) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The integers that occur in `a` or `b`, ascending; how often each occurs in `a`, and in `b`; all `(N,)`."""
    keys = np.union1d(a[0], b[0])
    in_a, in_b = np.zeros_like(keys), np.zeros_like(keys)
    in_a[keys.searchsorted(a[0])], in_b[keys.searchsorted(b[0])] = a[1], b[1]
    return keys, in_a, in_b


def length_distance(a: Counts, b: Counts) -> float:
    """Wasserstein-1 distance between two distributions of lengths, in characters: the mean difference of quantiles.

    It is the area between the two cumulative distribution functions (Vallender 1974).
    """
    lengths, p, q = merged(a, b)
    difference = (p / p.sum() - q / q.sum()).cumsum()
    return float((abs(difference[:-1]) * np.diff(lengths)).sum())


def bigram_divergence(a: Counts, b: Counts) -> float:
    """Jensen-Shannon divergence between two distributions of bigrams, in bits.

    The mean Kullback-Leibler divergence of the two from their average (Lin 1991): 0 for equal distributions, 1 for
    distributions that have no bigram in common.
    """
    _, p, q = merged(a, b)
    p, q = p / p.sum(), q / q.sum()
    mean = (p + q) / 2
    return sum(float((x[x > 0] * np.log2(x[x > 0] / mean[x > 0])).sum()) for x in (p, q)) / 2


class SampleQuality:
    """Sampled lines, and the metrics that compare them with the data. Each metric is computed when it is read.

    Args:
        texts: The lines; at least one.
        data: The data that the model was trained on.
        split: The held-out lines to compare with; at least one.
    """

    def __init__(self, texts: list[str], data: CharDataModule, split: Literal["val", "test"]) -> None:
        self.texts, self._data = texts, data
        self._held_out: Lines = getattr(data.split, split)

    @cached_property
    def splits(self) -> list[str]:
        """The split of each sample: "train", "val" or "test", the first that has it as a line, otherwise "new"."""
        return self._data.splits_of(self.texts)

    @property
    def unique(self) -> float:
        """Fraction of distinct lines among all k samples (unique@k). It falls with k."""
        return len(set(self.texts)) / len(self.texts)

    def in_split(self, split: str) -> float:
        """Fraction of the samples that are lines of a split."""
        return self.splits.count(split) / len(self.texts)

    @property
    def near_copies(self) -> float | None:
        """Fraction of the novel samples within Levenshtein distance 1 of a training line; None if there is none.

        To bound the time, only the first novel samples are looked up if lines are long.
        """
        novel = [text for text, split in zip(self.texts, self.splits, strict=True) if split != "train"]
        hashed = np.cumsum([2 * (len(text) + 1) ** 2 for text in novel]) * len(self._data.vocabulary)
        affordable = int(hashed.searchsorted(_HASHED * len(self.texts), "right"))
        near = self._data.membership.near_training(novel[:affordable])
        return sum(near) / len(near) if near else None

    @property
    def length_distance(self) -> float:
        """Distance between the lengths of the samples and of the held-out lines, in characters.

        It falls with the number of samples even for a perfect model: compare only values of equally many samples.
        """
        held_out = np.unique(self._data.corpus.num_targets(self._held_out) - 1, return_counts=True)
        return length_distance(np.unique([len(text) for text in self.texts], return_counts=True), held_out)

    @property
    def bigram_divergence(self) -> float:
        """Divergence between the bigrams of the samples and of the held-out lines, in bits, ends of lines included.

        It falls with the number of samples, as the distance of lengths does.
        """
        V, every = len(self._data.vocabulary), 1 + len(self._held_out) // _LINES
        ids, _ = encode(self._data.vocabulary, self.texts)
        held_out = make_batch(self._data.corpus, self._held_out[::every])
        samples = np.unique(np.roll(ids, 1) * V + ids, return_counts=True)  # the end of a line starts the next
        context = held_out.context.where(held_out.position > 0, BOUNDARY)  # samples are compared whatever their label
        bigrams = (context * V + held_out.target)[held_out.target >= 0].numpy()
        return bigram_divergence(samples, np.unique(bigrams, return_counts=True))

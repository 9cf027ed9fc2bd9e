"""Metrics of sampled lines: are they distinct, new, and distributed like lines that were held out?

Unique@k and novelty are the usual metrics of generated molecules: Polykovskiy et al., "Molecular Sets (MOSES)",
Frontiers in Pharmacology 2020.
"""

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from sequentia.data import CharDataModule, EvalBatches
from sequentia.data.hashing import hash_texts
from sequentia.inference.batch import encode

_SPLITS = ("new", "train", "val", "test")
_LINES = 10_000  # held-out lines that are counted together, which bounds the memory


def unique_share(keys: Tensor) -> Tensor:
    """Share of distinct elements among `keys` `(N,)`: unique@N. A scalar."""
    return torch.tensor(len(keys.unique()) / len(keys), dtype=torch.float64)


Counts = tuple[Tensor, Tensor]
"""Distinct integers in ascending order, and how often each occurs; both `(N,)` long."""


def merged(a: Counts, b: Counts) -> tuple[Tensor, Tensor, Tensor]:
    """The integers that occur in `a` or `b`, ascending; how often each occurs in `a`, and in `b`; all `(N,)` long."""
    keys, index = torch.cat((a[0], b[0])).unique(return_inverse=True)
    index_a, index_b = index.split([len(a[0]), len(b[0])])
    zeros = torch.zeros_like(keys)
    return keys, zeros.index_add(0, index_a, a[1]), zeros.index_add(0, index_b, b[1])


def length_distance(a: Counts, b: Counts) -> Tensor:
    """Wasserstein-1 distance between two distributions of lengths: the mean difference of equal quantiles.

    It is the area between the two cumulative distribution functions (Vallender 1974).

    Returns:
        A scalar, in characters.
    """
    lengths, p, q = merged(a, b)
    difference = (p.double() / p.sum() - q.double() / q.sum()).cumsum(0)
    return (difference[:-1].abs() * lengths.diff()).sum()


def bigram_divergence(a: Counts, b: Counts) -> Tensor:
    """Jensen-Shannon divergence between two distributions of bigrams, in bits.

    The mean Kullback-Leibler divergence of the two from their average (Lin 1991): 0 for equal distributions, 1 for
    distributions that have no bigram in common.

    Returns:
        A scalar.
    """
    _, p, q = merged(a, b)
    p, q = p.double() / p.sum(), q.double() / q.sum()
    mean = (p + q) / 2
    nats = torch.xlogy(p, p / mean).sum() + torch.xlogy(q, q / mean).sum()
    return nats / 2 / math.log(2)


class SampleQuality(Metric):
    """Metrics of sampled lines, over all updates and processes.

    - `unique`: share of distinct lines among all k samples (unique@k). It falls with k.
    - `novel`: share of the samples that are no training line.
    - `in_train`, `in_val`, `in_test`: shares of the samples that are lines of these splits; a line of several splits
      counts in the first.
    - `near_copies`: share of the novel samples within Levenshtein distance 1 of a training line.
    - `length_distance`: Wasserstein distance between the lengths of the samples and of held-out lines, in characters.
    - `bigram_divergence`: Jensen-Shannon divergence, in bits, between the character bigrams of the samples and of
      held-out lines, beginnings and ends of lines included.

    Without held-out lines the last two are missing, as is `near_copies` if no novel sample was looked up. The last two
    fall with the number of samples, even for a perfect model: compare values of equally many samples only.

    Args:
        data: The data that the model was trained on.
        split: The held-out lines to compare with.
        max_edits: Bounds the time for `near_copies`: of each update, only as many novel samples are looked up as have
            this many edited texts. None looks up all.
    """

    full_state_update = False
    keys: list[Tensor]
    splits: list[Tensor]
    near: list[Tensor]
    lengths: list[Tensor]
    bigrams: list[Tensor]

    def __init__(self, data: CharDataModule, split: Literal["val", "test"], max_edits: int | None = None) -> None:
        super().__init__()
        self._data, self._max_edits = data, max_edits
        lines = getattr(data.split, split)
        self._line_lengths = torch.from_numpy(data.corpus.num_targets(lines) - 1).unique(return_counts=True)
        self._line_bigrams = _count_bigrams(data, lines)
        for name in ("keys", "splits", "near", "lengths", "bigrams"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, texts: list[str]) -> None:
        """Add samples; at least one."""
        membership = self._data.membership
        splits = membership.splits_of(texts)
        novel = [text for text, split in zip(texts, splits, strict=True) if split != "train"]
        if self._max_edits is not None:
            edits = np.cumsum([membership.num_edits(text) for text in novel])
            novel = novel[: int(np.searchsorted(edits, self._max_edits, side="right"))]
        ids, lengths = encode(self._data.vocabulary, texts)
        hashes = hash_texts([f".{text}" for text in texts])  # an empty text has no hash
        self._add("keys", hashes.view(np.int64))
        self._add("splits", np.array([_SPLITS.index(split) for split in splits]))
        self._add("near", np.array(membership.near_training(novel), bool))
        self._add("lengths", lengths - 1)
        self._add("bigrams", np.roll(ids, 1) * len(self._data.vocabulary) + ids)

    def _add(self, state: str, values: NDArray[np.generic]) -> None:
        getattr(self, state).append(torch.from_numpy(values).to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """The metrics of all samples so far by name, scalars in double precision."""
        counts = dim_zero_cat(self.splits).bincount(minlength=len(_SPLITS)).double()
        share = dict(zip(_SPLITS, counts / counts.sum(), strict=True))
        values = {"unique": unique_share(dim_zero_cat(self.keys)), "novel": 1 - share["train"]}
        values |= {f"in_{split}": share[split] for split in ("train", "val", "test")}
        near = dim_zero_cat(self.near)
        if len(near):
            values["near_copies"] = near.double().mean()
        if len(self._line_lengths[0]):
            for name, state, lines, distance in (
                ("length_distance", self.lengths, self._line_lengths, length_distance),
                ("bigram_divergence", self.bigrams, self._line_bigrams, bigram_divergence),
            ):
                values[name] = distance(dim_zero_cat(state).cpu().unique(return_counts=True), lines)
        return values


def _count_bigrams(data: CharDataModule, lines: NDArray[np.integer]) -> Counts:
    """The bigrams of lines as `context * V + target`."""
    V = len(data.vocabulary)
    found: Counts = (torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    for batch in EvalBatches(data.corpus, lines, _LINES):
        bigrams = (batch.context * V + batch.target)[batch.target >= 0]
        keys, before, new = merged(found, bigrams.unique(return_counts=True))
        found = keys, before + new
    return found

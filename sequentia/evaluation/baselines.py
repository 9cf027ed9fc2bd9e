"""Baselines for a model's NLL: the NLLs of simpler models on the same lines."""

import math
from typing import Literal

import torch
import torch.distributed as dist

from sequentia.data import CharDataModule
from sequentia.models import BigramCounts, NGram
from sequentia.models.counting import Counting

# Limits, so that a baseline is counted in seconds.
_TABLE = 2**26  # elements of the table of bigrams, (V + K) V, which bounds the memory
_BIGRAM_CHARACTERS = 10_000_000  # of training lines: 2 seconds
_NGRAM_CHARACTERS = 1_000_000  # of training lines: 4 seconds


@torch.no_grad()
def baselines(data: CharDataModule, split: Literal["val", "test"]) -> dict[str, float]:
    """NLL of simpler models on the held-out lines of a split, in nats per character.

    - `uniform`: every token of the vocabulary is equally likely; ln V.
    - `bigram_counts`: `BigramCounts` with its default smoothing, counted on the training lines. It is missing if
      its table has more than 2^26 elements (V exceeds 8192), or if there are more than ten million training characters.
    - `ngram`: `NGram` with the order that it chooses, counted on the training lines. It is missing if there are more
      than a million training characters.

    In a distributed run this is collective: every process must call it.

    Args:
        data: The data; its split must not be empty.
        split: The lines to evaluate on.
    """
    vocabulary, lines = data.vocabulary, getattr(data.split, split)
    characters = data.train_characters
    found = {"uniform": math.log(len(vocabulary))}
    bigrams = len(vocabulary) * vocabulary.num_tokens <= _TABLE and characters <= _BIGRAM_CHARACTERS
    ngrams = characters <= _NGRAM_CHARACTERS
    for name, architecture, affordable in (("bigram_counts", BigramCounts, bigrams), ("ngram", NGram, ngrams)):
        if affordable:
            model = counted(architecture, data)
            nll_sum = sum(float(model.nll_sum(batch)) for batch in data.eval_batches(lines))
            found[name] = nll_sum / int(data.corpus.num_targets(lines).sum())
    return found


@torch.no_grad()
def counted(architecture: type[Counting], data: CharDataModule) -> Counting:
    """A model that has counted the training lines; collective in a distributed run."""
    model = architecture.for_data(data).eval()
    for batch in data.eval_batches(data.split.train, *_rank_and_processes()):
        model.count(batch)  # with those of all other processes
    return model


def _rank_and_processes() -> tuple[int, int]:
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1

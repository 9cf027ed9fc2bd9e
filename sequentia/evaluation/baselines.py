"""NLLs to compare a model's NLL with: what simpler models reach on the same lines."""

import math
from typing import Literal

import torch
import torch.distributed as dist

from sequentia.data import CharDataModule
from sequentia.models import BigramCounts, NGram
from sequentia.models.counting import Counting

_LARGEST_TABLE = 2**26  # elements of the table of bigrams, V^2, which bounds the memory


@torch.no_grad()
def baselines(data: CharDataModule, split: Literal["val", "test"], ngram: bool = True) -> dict[str, float]:
    """NLL of simpler models on the held-out lines of a split, in nats per character.

    - `uniform`: every token of the vocabulary is equally likely; ln V.
    - `bigram_counts`: `BigramCounts` with its default smoothing, counted on the training lines. It is missing if V
      exceeds 8192, because its table has V^2 elements.
    - `ngram`: `NGram` with the order that it chooses, counted on the training lines.

    On one core the bigram takes about 0.1 seconds for 30 thousand short lines and 1 for a million; the n-gram 1 second
    and, if the lines have as many different n-grams as real ones, 30. In a distributed run, all processes must call it.

    Args:
        data: The data; its split must not be empty.
        split: The lines to evaluate on.
        ngram: Whether to count the n-gram too.
    """
    V, lines = len(data.vocabulary), getattr(data.split, split)
    found = {"uniform": math.log(V)}
    architectures: dict[str, type[Counting]] = {"bigram_counts": BigramCounts} if V**2 <= _LARGEST_TABLE else {}
    if ngram:
        architectures["ngram"] = NGram
    for name, architecture in architectures.items():
        model = architecture(data.vocabulary.characters, data.context_length).eval()
        own_batches = data.eval_batches(data.split.train, *rank_and_processes())
        for batch in own_batches:
            model.count(batch)  # with those of all other processes
        nll_sum = sum(float(model.nll_sum(batch)) for batch in data.eval_batches(lines))
        found[name] = nll_sum / int(data.corpus.num_targets(lines).sum())
    return found


def rank_and_processes() -> tuple[int, int]:
    """The index of this process and the number of processes; 0 and 1 outside of a distributed run."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1

"""Lines as tensors: the one kind of batch, and the one encoder of texts to ids."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequentia.vocabulary import BOUNDARY, Vocabulary, code_points

IGNORE = -100
"""Target of a padded position: PyTorch's `ignore_index`."""


class Batch(NamedTuple):
    """Lines packed into rows.

    Attributes:
        context: Token to read at each position, `(B, T)` long; 0 at padding.
        target: Token to predict at each position, `(B, T)` long; -100 at padding.
        position: Index of each token in its own line, `(B, T)` long: a 0 starts a line. 0 at padding.
        total: Number of predicted characters that the summed loss is divided by. In distributed training it is the
            mean over all processes, so that the average of their gradients is the gradient of the global batch.
    """

    context: Tensor
    target: Tensor
    position: Tensor
    total: float


def encode(vocabulary: Vocabulary, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The predicted tokens of all texts, concatenated: the characters of each and the boundary that ends it.

    Args:
        vocabulary: The vocabulary.
        texts: L texts with N predicted tokens in total.

    Returns:
        Ids `(N,)`, -1 for a character that is not in the vocabulary; and the number of ids of each text `(L,)`.

    Example:
        >>> encode(Vocabulary("ab"), ["ab", "", "ac"])
        (array([ 1,  2,  0,  0,  1, -1,  0]), array([3, 1, 3]))
    """
    lengths = np.array([len(text) + 1 for text in texts], np.int64)
    ids = vocabulary.lookup(code_points("\0".join([*texts, ""])))  # with a \0 where each text ends
    ids[np.cumsum(lengths) - 1] = BOUNDARY
    return ids, lengths


def row(ids: NDArray[np.int64], lengths: NDArray[np.int64]) -> Batch:
    """Encoded texts as a batch of a single row."""
    position = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    target = torch.from_numpy(ids)[None]
    return Batch(target.roll(1), target, torch.from_numpy(position)[None], len(ids))  # an end starts the next line

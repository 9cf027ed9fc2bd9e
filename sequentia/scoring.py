"""Model -> how likely each of many texts is; no data module, no Trainer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequentia.vocabulary import BOUNDARY, code_points

if TYPE_CHECKING:
    from sequentia.models.base import LanguageModel

_CHUNK = 10_000  # texts held at a time: enough to find many of about one length, few enough for any memory
_POSITIONS = 16_384  # positions a batch may take, as in validation
_LOGITS = 1 << 24  # logits a batch may take: a large vocabulary makes a batch smaller


@dataclass(frozen=True, eq=False)
class Score:
    """How likely a model finds one text.

    Attributes:
        text: Its characters.
        log_probs: Natural logarithm of the probability of each predicted character given those before it, the end
            last; shape `(len(text) + 1,)`. From the first that the model cannot produce all are -inf.
    """

    text: str
    log_probs: NDArray[np.float32]

    @property
    def nll(self) -> float:
        """Negative log likelihood of the whole text, the end included, in nats; inf if the model cannot produce it."""
        return -float(self.log_probs.sum(dtype=np.float64))


def score(model: "LanguageModel", texts: Iterable[str]) -> Iterator[Score]:
    """Score texts in the order given, in memory that does not grow with their number.

    A character outside the vocabulary has probability 0, and so has every character for which the model would have to
    read more positions than it can.

    Args:
        model: Any architecture. It is set to evaluation mode while it computes.
        texts: Lines without boundary tokens. The empty one is the end right after the start.

    Yields:
        A score for each text.

    Raises:
        UserError: A text holds half a surrogate pair.

    Example:
        >>> import math
        >>> from sequentia.models import Bigram
        >>> untrained = Bigram("ab", context_length=4)
        >>> [round(s.nll / math.log(3), 4) for s in score(untrained, ["", "ab", "abc"])]
        [1.0, 3.0, inf]
    """
    texts = iter(texts)
    while chunk := list(islice(texts, _CHUNK)):
        was_training = model.training
        model.eval()
        try:
            log_probs, starts = _log_probs(model, chunk)
        finally:
            model.train(was_training)
        for text, start in zip(chunk, starts.tolist(), strict=True):
            yield Score(text, log_probs[start : start + len(text) + 1])


@torch.inference_mode()
def _log_probs(model: "LanguageModel", texts: list[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Log probability of every predicted character of all texts, one text after the other, and where each starts."""
    lengths = np.array([len(text) + 1 for text in texts], np.int64)  # predicted characters
    ends = np.cumsum(lengths) - 1
    starts = ends - lengths + 1
    target = model.vocabulary.lookup(code_points("\0".join([*texts, ""])))  # a \0 where each text ends
    target[ends] = BOUNDARY
    # How many of them the model can produce: those before the first unknown character, and what its context holds.
    longest = np.iinfo(np.int64).max if model.max_positions is None else model.max_positions
    producible = np.minimum(lengths, longest)
    unknown = np.flatnonzero(target < 0)
    owner = np.searchsorted(ends, unknown)  # text of each unknown character
    np.minimum.at(producible, owner, unknown - starts[owner])
    target[unknown] = BOUNDARY  # never looked up, but an index all the same
    context = np.roll(target, 1)  # the end of one text is the start of the next

    found = np.full(len(target), -np.inf, np.float32)
    order = np.argsort(-producible, kind="stable")  # texts of about one length side by side, longest first
    done, left = 0, int(np.count_nonzero(producible))
    budget = min(_POSITIONS, _LOGITS // len(model.vocabulary))
    while done < left:
        columns = int(producible[order[done]])
        rows = order[done : min(left, done + max(1, budget // columns))]
        place = starts[rows, None] + np.arange(columns)  # (B, T), of each character in `target`
        inside = place < (starts + producible)[rows, None]
        place[~inside] = 0  # padding: a boundary to read, and a target that is thrown away
        logits = model(torch.from_numpy(context[place]).to(model.device))  # (B, T, V)
        chosen = chosen_log_probs(logits, torch.from_numpy(target[place]).to(model.device))
        found[place[inside]] = chosen.cpu().numpy()[inside]
        done += len(rows)
    return found, starts


def chosen_log_probs(logits: Tensor, target: Tensor) -> Tensor:
    """Log probability of each target `(B, T)` under logits `(B, T, V)`; returns `(B, T)`.

    A logit of -inf is a probability of 0, even where no other in its row is more.
    """
    logits = logits.float()
    chosen = logits.gather(2, target[:, :, None])[:, :, 0]
    return chosen.where(chosen.isneginf(), chosen - logits.logsumexp(2))

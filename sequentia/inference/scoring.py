"""Model -> the likelihood of given texts. Needs neither a data module nor a Trainer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from sequentia.inference.batch import IGNORE, Batch, encode
from sequentia.inference.labels import of_label
from sequentia.inference.model import Model, batch_positions, check_probabilities, evaluating
from sequentia.text import strings
from sequentia.vocabulary import BOUNDARY, code_points

_CHUNK = 10_000  # texts in memory at a time: enough to find many of similar length


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """The likelihood of a text.

    Attributes:
        text: The text.
        log_probs: Log probability, in nats, of each predicted character given those before it, the end included; shape
            `(len(text) + 1,)`. They are -inf from the first character on that the model cannot produce.
    """

    text: str
    log_probs: NDArray[np.float32]

    @property
    def nll(self) -> float:
        """Negative log-likelihood of the text in nats, the end included; inf if the model cannot produce the text."""
        return -float(self.log_probs.sum(dtype=np.float64))

    def __repr__(self) -> str:
        return f"Score({self.text!r}, nll={self.nll:.4f})"


def score(model: Model, texts: Iterable[str], label: str | None = None) -> Iterator[Score]:
    """Score texts in the order given, in memory that does not grow with their number.

    A character outside the vocabulary has probability 0, and so has a character beyond the model's position limit.

    Args:
        model: Any architecture. It is switched to evaluation mode while it computes.
        texts: Lines without boundary tokens. An empty text is a line that ends immediately. A text is normalized to
            Unicode NFC if the vocabulary has only that form of its characters.
        label: The label of the lines. Without it, the lines of a model with labels can have any: the likelihood is the
            exact mixture over the labels.

    Yields:
        The score of each text.

    Raises:
        UserError: No line has the label; `texts` is a single string, or an item is not a string or holds a lone
            surrogate, which is not a character; or the model's probabilities are NaN.

    Example:
        >>> import math
        >>> from sequentia.models import Bigram
        >>> untrained = Bigram("ab", context_length=4)
        >>> [round(s.nll / math.log(3), 4) for s in score(untrained, ["", "ab", "abc"])]
        [1.0, 3.0, inf]
    """
    model = of_label(model, label)
    texts = map(model.vocabulary.normalize, strings(texts, "the texts to score"))
    while chunk := list(islice(texts, _CHUNK)):
        with evaluating(model):  # left before each yield: the caller may train the model between two scores
            log_probs, starts = _log_probs(model, chunk)
        for text, start in zip(chunk, starts.tolist(), strict=True):
            yield Score(text, log_probs[start : start + len(text) + 1])


@torch.inference_mode()
def most_probable(model: Model, text: str, number: int) -> list[list[tuple[str, float]]]:
    """The most probable tokens in place of each predicted character, and their probabilities.

    Args:
        model: Any architecture.
        text: A line; what follows a character that the model cannot read is left out.
        number: Number of tokens for each character.

    Returns:
        For each character of the text and for its end: tokens, the boundary as ".", the most probable first.
    """
    known = [".", *model.vocabulary.characters]
    ids = model.vocabulary.lookup(code_points(text))
    length = int(np.argmax([*(ids < 0), True])) + 1  # predictions before the first unknown character, and its own
    found: list[list[tuple[str, float]]] = []
    state = None
    with evaluating(model):
        for token in [BOUNDARY, *ids.tolist()][: min(length, model.max_positions or length)]:
            logits, state = model.step(torch.tensor([token], device=model.device), state)
            probabilities, tokens = check_probabilities(logits[0].float().softmax(0)).topk(min(number, len(known)))
            names = [known[index] for index in tokens.tolist()]
            found.append(list(zip(names, probabilities.tolist(), strict=True)))
    return found


@torch.inference_mode()
def _log_probs(model: Model, texts: list[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Score texts in batches of similar length.

    Args:
        model: In evaluation mode.
        texts: L texts with N predicted characters in total.

    Returns:
        Log probabilities of the predicted characters of all texts, concatenated, `(N,)`; and the index of each text's
        first, `(L,)`.
    """
    target, lengths = encode(model.vocabulary, texts)
    ends = np.cumsum(lengths) - 1
    starts = ends - lengths + 1
    # Characters that the model can produce: those before the first unknown one and within the position limit.
    limit = np.iinfo(np.int64).max if model.max_positions is None else model.max_positions
    producible = np.minimum(lengths, limit)  # (L,)
    unknown = np.flatnonzero(target < 0)
    owner = np.searchsorted(ends, unknown)  # index of the text that each unknown character is in
    np.minimum.at(producible, owner, unknown - starts[owner])
    target[unknown] = BOUNDARY  # a valid index; its log probability is discarded
    context = np.roll(target, 1)  # the boundary that ends a text is the one that starts the next

    log_probs = np.full(len(target), -np.inf, np.float32)
    order = np.argsort(-producible, kind="stable")[: np.count_nonzero(producible)]  # longest first
    budget = batch_positions(len(model.vocabulary))
    done = 0
    while done < len(order):
        T = int(producible[order[done]])
        rows = order[done : done + max(1, budget // T)]  # (B,)
        index = starts[rows, None] + np.arange(T)  # (B, T), of each character in `target`
        valid = index < (starts + producible)[rows, None]
        index[~valid] = 0  # padding
        batch = Batch(
            torch.from_numpy(context[index]).to(model.device),
            torch.from_numpy(np.where(valid, target[index], IGNORE)).to(model.device),
            torch.arange(T, device=model.device).expand(len(rows), T),
            int(valid.sum()),
        )
        found = check_probabilities(model.target_log_probs(batch))  # (B, T)
        log_probs[index[valid]] = found.cpu().numpy()[valid]
        done += len(rows)
    return log_probs, starts

"""How many lines are more probable than a given one: the number of guesses before it, in the order of probability."""

from typing import NamedTuple

import numpy as np

from sequentia.inference.model import Model
from sequentia.inference.sampling import generate
from sequentia.inference.scoring import score

_DRAWS = 100_000
_ROUNDING = 1e-5


class Rank(NamedTuple):
    """An estimate of the number of lines that are more probable.

    Attributes:
        guesses: The estimate.
        error: Its standard error.
    """

    guesses: float
    error: float


class Ranks:
    """Ranks of lines, estimated from lines drawn from the model.

    A drawn line of probability p stands for 1/(np) lines of n draws. The expected sum over the draws that are more
    probable than a line is the number of all lines that are.

    Source: Dell'Amico & Filippone, "Monte Carlo strength evaluation", CCS 2015.

    Args:
        model: Any architecture.
        draws: Number of lines drawn that have an end.
        seed: Seed of the draws.
        label: The label of the lines; see `score`.

    Attributes:
        largest: NLL of the least probable draw; the ranks of lines beyond it are estimated too low.

    Raises:
        UserError: The model's probabilities are NaN.
    """

    def __init__(self, model: Model, draws: int = _DRAWS, seed: int = 0, label: str | None = None) -> None:
        drawing = generate(model, draws, seed=seed, label=label)
        nlls = [sample.nll for sample in drawing] if label is not None or not model.vocabulary.labels else None
        if nlls is None:  # a line is drawn with one label, but others can produce it too
            nlls = [each.nll for each in score(model, [sample.text for sample in drawing])]
        self._nlls = np.sort(nlls)
        self._draws = drawing.drawn  # those that reached the limit without an end included
        self.largest = float(self._nlls[-1])
        weights = np.exp(self._nlls)  # 1/p
        self._sums, self._squares = (np.concatenate([[0.0], np.cumsum(terms)]) for terms in (weights, weights**2))

    def rank(self, nll: float) -> Rank:
        """The rank of a line with this NLL in nats; infinite for a line of probability 0."""
        if np.isinf(nll):
            return Rank(np.inf, np.nan)
        # Not the line itself, whose NLL was rounded otherwise when it was drawn.
        before = self._nlls.searchsorted(nll * (1 - _ROUNDING))
        mean = self._sums[before] / self._draws
        variance = max(0.0, self._squares[before] / self._draws - mean**2)
        return Rank(float(mean), float(np.sqrt(variance / self._draws)))

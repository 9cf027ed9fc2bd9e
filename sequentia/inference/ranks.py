"""How many lines are more probable than a given one: the number of guesses before it, in the order of probability."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sequentia.inference.model import Model
from sequentia.inference.sampling import generate

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

    Raises:
        UserError: The model's probabilities are NaN.
    """

    def __init__(self, model: Model, draws: int = _DRAWS, seed: int = 0) -> None:
        drawing = generate(model, draws, seed=seed)
        self._nlls = np.sort([sample.nll for sample in drawing])
        self._draws = drawing.drawn  # those that reached the limit without an end included
        weights = np.exp(self._nlls)  # 1/p
        self._sums, self._squares = (np.concatenate([[0.0], np.cumsum(terms)]) for terms in (weights, weights**2))

    def rank(self, nlls: NDArray[np.float64]) -> list[Rank]:
        """The ranks of lines with these NLLs in nats, shape `(N,)`; infinite for lines of probability 0."""
        # Not the line itself, whose NLL was rounded otherwise when it was drawn.
        before = self._nlls.searchsorted(nlls * (1 - _ROUNDING))
        mean = self._sums[before] / self._draws
        error = np.sqrt((self._squares[before] / self._draws - mean**2).clip(0) / self._draws)
        unknown = np.isinf(nlls)
        mean[unknown], error[unknown] = np.inf, np.nan
        return [Rank(*pair) for pair in zip(mean.tolist(), error.tolist(), strict=True)]

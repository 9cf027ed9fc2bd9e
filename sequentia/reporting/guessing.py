"""The guessing curve of a model: how many guesses find which share of a list of lines."""

from typing import TYPE_CHECKING

import numpy as np

from sequentia.errors import UserError
from sequentia.inference.ranks import Ranks
from sequentia.models import LanguageModel
from sequentia.reporting.curves import FONT

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_guessing(models: dict[str, LanguageModel], texts: list[str]) -> "Figure":
    """The share of lines that a guesser has found after a number of guesses, in the order of a model's probabilities.

    A curve ends where the estimate does: at lines that are less probable than any of 100,000 that the model draws.

    Args:
        models: The models that guess, each with its name.
        texts: The lines to find, each as often as it is in use.

    Raises:
        UserError: There are no lines.
    """
    from matplotlib.figure import Figure

    if not texts:
        raise UserError("there are no lines to guess: give a file of lines, or hold some out when you train")
    figure = Figure(figsize=(5.5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for (name, model), color in zip(models.items(), ("#1d4ed8", "#b45309"), strict=False):
        ranks = Ranks(model)
        known = sorted(score.nll for score in model.score(texts) if score.nll <= ranks.largest)
        guesses = [1 + ranks.rank(nll).guesses for nll in known]
        found = np.arange(1, len(known) + 1) / len(texts)
        axes.step([*guesses, *guesses[-1:]], [*found, *found[-1:]], where="post", label=name, color=color)
    axes.set(xscale="log", ylim=(0, None), xlabel="guesses", ylabel="share of the lines found")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, prop={"family": FONT})
    return figure

"""The guessing curve of a model: how many guesses find which share of a list of lines."""

from typing import TYPE_CHECKING

import numpy as np

from sequentia.data.reading import texts
from sequentia.errors import UserError
from sequentia.evaluation.baselines import counted
from sequentia.inference.ranks import Ranks
from sequentia.models import LanguageModel, NGram
from sequentia.reporting.curves import FONT
from sequentia.runs.checkpoint import training_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_guessing(models: dict[str, LanguageModel], lines: list[str]) -> "Figure":
    """The share of lines that a guesser has found after a number of guesses, in the order of a model's probabilities.

    A curve ends where the estimate does: at lines that are less probable than any of 100,000 that the model draws.

    Args:
        models: The models that guess, each with its name.
        lines: The lines to find, each as often as it is in use.

    Raises:
        UserError: There are no lines.
    """
    from matplotlib.figure import Figure

    if not lines:
        raise UserError("there are no lines to guess: give a file of lines, or hold some out when you train")
    figure = Figure(figsize=(5.5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for (name, model), color in zip(models.items(), ("#1d4ed8", "#b45309"), strict=False):
        ranks = Ranks(model)
        known = sorted(score.nll for score in model.score(lines) if score.nll <= ranks.largest)
        guesses = [1 + ranks.rank(nll).guesses for nll in known]
        found = np.arange(1, len(known) + 1) / len(lines)
        axes.step([*guesses, *guesses[-1:]], [*found, *found[-1:]], where="post", label=name, color=color)
    axes.set(xscale="log", ylim=(0, None), xlabel="guesses", ylabel="share of the lines found")
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, prop={"family": FONT})
    return figure


def draw_guessing_beside_ngram(model: LanguageModel, path: str | None = None) -> "Figure":
    """The curves of a model and of an n-gram model of the same training lines, for a file or the run's test lines.

    Raises:
        UserError: There are no lines, or the training data cannot be read.
    """
    data = training_data(model, "the guessing curve", "correct its path there")
    lines = list(texts(path)) if path is not None else [data.corpus.line(index) for index in data.split.test]
    return draw_guessing({"model": model, "n-gram": counted(NGram, data)}, lines)

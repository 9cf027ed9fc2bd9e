"""Show me: runs side by side, pictures and notebooks. Here is the table of the pictures; it imports nothing slow."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from sequentia.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sequentia.models import LanguageModel


class Picture(NamedTuple):
    """What a picture shows, and the function that draws it: its module in this folder, and its name.

    The function takes a model, or the history of a run if `of_run`; and the option of `plot` that `option` names. It
    raises `UserError` if the model has no such picture. TensorBoard shows the picture with the arguments
    `tensorboard`, and with the run's `data` if `of_data`; or not at all if they are None.
    """

    function: str
    meaning: str
    option: str | None = None
    of_run: bool = False
    of_data: bool = False
    tensorboard: dict[str, Any] | None = None

    def draw(self, source: Any, **options: Any) -> "Figure":
        """Draw it."""
        module, function = self.function.split(".")
        figure: Figure = getattr(import_module(f"sequentia.reporting.{module}"), function)(source, **options)
        return figure


PICTURES = {
    "pairs": Picture(
        "heatmap.draw",
        "a heat map of which character follows which: counts if the model counts pairs, otherwise the probability of "
        "each character at the start of a line and after each first character",
        tensorboard={"small": True},
    ),
    "embedding": Picture(
        "pictures.draw_embedding", "characters at the first two principal components of their vectors", tensorboard={}
    ),
    "attention": Picture(
        "pictures.draw_attention", "which characters each character of a sample reads", option="text", tensorboard={}
    ),
    "labels": Picture(
        "confusion.draw_confusion",
        "a confusion matrix of held-out lines with labels: which fraction of the lines of each label has which most "
        "probable label",
        of_data=True,
        tensorboard={"split": "val", "pairs": 50_000},
    ),
    "curves": Picture("curves.draw_curves", "training and validation NLL by step", of_run=True),
    "guessing": Picture(
        "guessing.draw_guessing_beside_ngram",
        "which share of lines is found after how many guesses in the order of probability, by the model and by an "
        "n-gram model of the same training lines",
        option="path",
    ),
}


def draw(model: "LanguageModel", what: str = "pairs", **options: Any) -> "Figure":
    """Draw a model, or the curves of its run: the command `sequentia plot`.

    A notebook displays the picture at once, wherever in a cell it is drawn.

    Args:
        model: The model; for pictures of its run, as `load` or `fit` returns it.
        what: The name of a picture in `sequentia.reporting.PICTURES`: `pairs`, `embedding`, `attention`, ...
        options: `text` of `attention`, or `path` of `guessing`: see `sequentia plot --help`.

    Raises:
        UserError: There is no picture of this name, the model has none, or its run is unknown or has no curves.
    """
    from sequentia.reporting.notebook import show_at_once
    from sequentia.runs.checkpoint import origin
    from sequentia.runs.history import read_history

    picture = PICTURES.get(what)
    if picture is None:
        raise UserError(f"what must be one of {', '.join(PICTURES)}; got {what!r}")
    source: Any = model
    if picture.of_run:
        found = origin(model)
        if found is None:
            raise UserError(f"the model was not loaded from a run, so {what} cannot be drawn: load(...) the run")
        source = read_history(found.checkpoint.parent)
    return show_at_once(picture.draw(source, **options))

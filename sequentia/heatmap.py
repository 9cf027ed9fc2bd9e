"""Model -> a picture of its bigrams: row, a character; column, the next one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sequentia.models.base import LanguageModel

LARGEST = 500
"""Vocabulary above which nothing is drawn: a cell would be less than a few dots wide."""

_LABELLED = 64  # vocabulary up to which each cell has its pair and number: more take long to draw and to read
_FONT = "DejaVu Sans"  # comes with matplotlib: the same picture everywhere
# In inches: of a cell with label and without, and around the table. The largest picture is 40 inches wide.
_CELL, _BARE_CELL, _MARGIN = 0.6, 0.05, 0.8


def counts(model: "LanguageModel") -> Tensor | None:
    """The counts `(V, V)` of a model that counts pairs, in a buffer of this name; None of any other."""
    found = getattr(model, "counts", None)
    return found if isinstance(found, Tensor) else None


@torch.inference_mode()
def next_probabilities(model: "LanguageModel") -> Tensor:
    """Probability of each character behind the start alone, row 0, and behind each first character; `(V, V)`."""
    was_training = model.training
    model.eval()
    try:
        size = len(model.vocabulary)
        tokens = torch.arange(size, device=model.device)
        first, state = model.step(torch.zeros_like(tokens))
        logits, _ = model.step(tokens, state)
    finally:
        model.train(was_training)
    return torch.cat((first[:1], logits[1:])).float().softmax(1)


def draw(model: "LanguageModel") -> "Figure":
    """A heat map of a model's bigrams, the boundary token, shown as a dot, first.

    A model that counts pairs is drawn with its counts. Of any other it shows the probability of each character at a
    line's start and behind its first character: for a bigram, whatever the place in the line. Up to a vocabulary of
    64 each cell is labelled with its pair and its number. A character that the font lacks stands as its code point.

    Raises:
        UserError: The vocabulary is larger than 500.
    """
    from matplotlib.figure import Figure

    size = len(model.vocabulary)
    if size > LARGEST:
        raise UserError(f"a vocabulary of {size:,} is too large to draw: the most is {LARGEST}")
    counted = counts(model)
    values = (next_probabilities(model) if counted is None else counted.double()).cpu().numpy()
    what = "probability of the next character" if counted is None else "counts of pairs"
    labels = [".", *map(_label, model.vocabulary.characters)]
    labelled = size <= _LABELLED
    side = max(6.0, size * (_CELL if labelled else _BARE_CELL)) + 2 * _MARGIN
    figure = Figure(figsize=(side, side))
    inner = 1 - 2 * _MARGIN / side
    axes = figure.add_axes((_MARGIN / side, _MARGIN / side, inner, inner))
    top = float(values.max())
    axes.imshow(values, cmap="Blues", vmin=0, vmax=top or 1)
    points = 72 * inner * side / size  # width of a cell
    style: dict[str, Any] = {"fontfamily": _FONT, "parse_math": False}  # a dollar is a dollar
    axis: dict[str, Any] = {**style, "fontsize": min(10.0, 0.7 * points), "rotation": 0 if labelled else 90}
    axes.set_xticks(range(size), labels, **axis)
    axes.set_yticks(range(size), labels, **(axis | {"rotation": 0}))
    axes.tick_params(length=0, labeltop=True)
    axes.set_xlabel("next character", fontfamily=_FONT)
    axes.set_ylabel("character", fontfamily=_FONT)
    axes.set_title(f"{type(model).__name__}: {what}", fontfamily=_FONT)
    if labelled:
        number = "{:.3f}" if counted is None else "{:.0f}"
        for i, before in enumerate(labels):
            for j, after in enumerate(labels):
                pair = before + after if len(before) + len(after) == 2 else f"{before} {after}"
                lines = pair, number.format(values[i, j])
                fits = points / max(5.0, 0.7 * max(map(len, lines)))
                colour = "white" if values[i, j] > top / 2 else "0.25"
                axes.text(j, i, "\n".join(lines), ha="center", va="center", color=colour, fontsize=fits, **style)
    return figure


def save(model: "LanguageModel", out: Path) -> None:
    """Draw to a picture file, which appears when it is whole.

    Raises:
        UserError: The file's name is no picture's, it cannot be written, or see `draw`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    kinds = FigureCanvasAgg.get_supported_filetypes()
    kind = out.suffix.lower().lstrip(".")
    if kind not in kinds:
        raise UserError(f"{out} is no picture's name: end it in .png, .svg or .pdf")
    beside = out.absolute().with_name(f".{out.name}.partial")
    figure = draw(model)
    try:
        figure.savefig(beside, format=kind)
        beside.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        beside.unlink(missing_ok=True)


def _label(character: str) -> str:
    """What a character is shown as: itself where the font has it, else its code point."""
    from matplotlib.font_manager import findfont, get_font

    if character == " ":
        return "␣"
    if printable(character) != character:
        return printable(character)
    if not character.isprintable() or get_font(findfont(_FONT)).get_char_index(ord(character)) == 0:
        return f"{ord(character):04X}"
    return character

"""Model -> heat map of its character pairs: a row is a character, a column is the next character."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.evaluation import check_probabilities, evaluating
from sequentia.figures import FONT, save_figure
from sequentia.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sequentia.models.base import LanguageModel

LARGEST = 500
"""Largest vocabulary that is drawn; the cells of a larger one would be only a few pixels wide."""

_LARGEST_LABELED = 64  # vocabulary up to which cells are labeled: more labels are slow to draw and hard to read
# Inches. The largest figure is 27 inches wide with bare cells, 40 with labeled cells.
_LABELED_CELL, _BARE_CELL, _MARGIN = 0.6, 0.05, 0.8


@torch.inference_mode()
def next_probabilities(model: "LanguageModel") -> Tensor:
    """Probability of each character at the start of a line (row 0) and after each first character; `(V, V)`.

    Raises:
        UserError: The model's probabilities are NaN.
    """
    with evaluating(model):
        tokens = torch.arange(len(model.vocabulary), device=model.device)
        first, state = model.step(torch.zeros_like(tokens))
        second, _ = model.step(tokens, state)
    return check_probabilities(torch.cat((first[:1], second[1:])).float().softmax(1))


def draw(model: "LanguageModel") -> "Figure":
    """A heat map of a model's character pairs; the boundary token comes first and is shown as a dot.

    A model that counts pairs is drawn with its counts, any other with `next_probabilities`. For a vocabulary of up to
    64, each cell is labeled with its pair and value. A character that the font lacks is shown as its code point.

    Raises:
        UserError: The vocabulary is larger than `LARGEST`.
    """
    from matplotlib.figure import Figure

    size = len(model.vocabulary)
    if size > LARGEST:
        raise UserError(f"a vocabulary of {size:,} is too large to draw: the limit is {LARGEST}")
    counts = model.pair_counts()
    values = (next_probabilities(model) if counts is None else counts.double()).cpu().numpy()
    title, number = ("probability of the next character", "{:.3f}") if counts is None else ("pair counts", "{:.0f}")
    labels = [".", *map(_label, model.vocabulary.characters)]
    labeled = size <= _LARGEST_LABELED
    width = max(6.0, size * (_LABELED_CELL if labeled else _BARE_CELL)) + 2 * _MARGIN
    figure = Figure(figsize=(width, width))
    inner = 1 - 2 * _MARGIN / width
    axes = figure.add_axes((_MARGIN / width, _MARGIN / width, inner, inner))
    largest = float(values.max())
    axes.imshow(values, cmap="Blues", vmin=0, vmax=largest or 1)
    cell = 72 * inner * width / size  # width of a cell in points
    style: dict[str, Any] = {"fontfamily": FONT, "parse_math": False}  # dollar signs are not math
    tick_style = style | {"fontsize": min(10.0, 0.7 * cell)}
    axes.set_xticks(range(size), labels, rotation=0 if labeled else 90, **tick_style)
    axes.set_yticks(range(size), labels, **tick_style)
    axes.tick_params(length=0, labeltop=True)
    axes.set_xlabel("next character", fontfamily=FONT)
    axes.set_ylabel("character", fontfamily=FONT)
    axes.set_title(f"{type(model).__name__}: {title}", fontfamily=FONT)
    if labeled:
        for i, before in enumerate(labels):
            for j, after in enumerate(labels):
                pair = before + after if len(before) + len(after) == 2 else f"{before} {after}"
                lines = pair, number.format(values[i, j])
                fontsize = cell / max(5.0, 0.7 * max(map(len, lines)))  # fits the longer line into the cell
                color = "white" if values[i, j] > largest / 2 else "0.25"
                axes.text(j, i, "\n".join(lines), ha="center", va="center", color=color, fontsize=fontsize, **style)
    return figure


def save(model: "LanguageModel", out: Path) -> None:
    """Draw the heat map to an image file, in the format that the file's suffix names.

    Raises:
        UserError: The suffix is not that of an image format, or the file cannot be written; or see `draw`.
    """
    save_figure(lambda: draw(model), out)


def _label(character: str) -> str:
    """How a character is shown: as itself if the font has it, escaped if it is a control, else as its code point."""
    from matplotlib.font_manager import findfont, get_font

    if character == " ":
        return "␣"
    if printable(character) != character:
        return printable(character)
    if not character.isprintable() or get_font(findfont(FONT)).get_char_index(ord(character)) == 0:
        return f"{ord(character):04X}"
    return character

"""Model -> heat map of its character pairs: a row is a character, a column is the next character. Or of any table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.labels import of_label
from sequentia.inference.model import Model, check_probabilities, evaluating
from sequentia.models import BigramCounts, LanguageModel
from sequentia.reporting.curves import FONT
from sequentia.text import printable, shorten
from sequentia.vocabulary import Vocabulary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST = 500
"""Largest vocabulary that is drawn; the cells of a larger one would be only a few pixels wide."""

_LARGEST_LABELED = 64  # vocabulary up to which cells are labeled: more labels are slow to draw and hard to read
_MOST_LABELS = 40
# Inches. The largest heat map of a model is 27 inches wide with bare cells, 40 with labeled cells.
_LABELED_CELL, _BARE_CELL, _MARGIN = 0.6, 0.05, 0.8


@torch.inference_mode()
def next_probabilities(model: Model) -> Tensor:
    """Probability of each character at the start of a line (row 0) and after each first character; `(V, V)`.

    Lines with labels can have any label.

    Raises:
        UserError: The model's probabilities are NaN.
    """
    model = of_label(model)
    with evaluating(model):
        tokens = torch.arange(len(model.vocabulary), device=model.device)
        first, state = model.step(torch.zeros_like(tokens))
        second, _ = model.step(tokens, state)
    return check_probabilities(torch.cat((first[:1], second[1:])).float().softmax(1))


@torch.inference_mode()
def _values(model: LanguageModel, labels: list[int]) -> Tensor:
    """A row for the start of any line, for each character, and for the start of a line with each of these labels."""
    V = len(model.vocabulary)
    tokens = torch.tensor(labels, dtype=torch.long, device=model.device) + V
    if isinstance(model, BigramCounts):
        start = torch.cat((model.counts[:1], model.counts[V:])).sum(0, keepdim=True)
        return torch.cat((start, model.counts[1:V], model.counts[tokens]))
    values = next_probabilities(model)
    if labels:
        with evaluating(model):
            first, _ = model.step(tokens)
        values = torch.cat((values, check_probabilities(first.float().softmax(1))))
    return values


def check_drawable(model: LanguageModel) -> None:
    """Refuse a vocabulary whose characters could not be told apart in a picture.

    Raises:
        UserError: The vocabulary is larger than `LARGEST`.
    """
    size = len(model.vocabulary)
    if size > LARGEST:
        raise UserError(f"a vocabulary of {size:,} is too large to draw: the limit is {LARGEST}")


def draw(model: LanguageModel, small: bool = False) -> "Figure":
    """A heat map of a model's character pairs; the boundary token comes first and is shown as a dot.

    A model that counts pairs is drawn with its counts, any other with `next_probabilities`. The dot is the start of any
    line; the last rows are the starts of lines with each label, or with the 40 most frequent. For a vocabulary of up to
    64, each cell is labeled with its value. A character that the font lacks is shown as its code point.

    Args:
        model: The model.
        small: Leave out the labels of the cells, so that the figure can be read at a small size.

    Raises:
        UserError: The vocabulary is larger than `LARGEST`.
    """
    check_drawable(model)
    counted = isinstance(model, BigramCounts)
    shown = most_frequent_labels(model.vocabulary)
    values = _values(model, shown)
    title, number = ("pair counts", "{:.0f}") if counted else ("probability of the next character", "{:.3f}")
    names = [".", *map(label, model.vocabulary.characters)]
    rows = [*names, *(f"label {label_name(model.vocabulary.labels[k])}" for k in shown)]
    labels = None
    if not small and len(model.vocabulary) <= _LARGEST_LABELED:
        labels = [[number.format(value).replace("0.", ".") for value in row] for row in values.tolist()]
    figure = draw_table(values.double(), rows, names, f"{type(model).__name__}: {title}", labels)
    size = figure.axes[0].title.get_fontsize()
    figure.axes[0].set_xlabel("next character", fontfamily=FONT, fontsize=size)
    row = "character before" if counted else "first character of a line"
    figure.axes[0].set_ylabel(row, fontfamily=FONT, fontsize=size)
    return figure


def draw_table(
    values: Tensor,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    labels: Sequence[Sequence[str]] | None = None,
) -> "Figure":
    """A heat map of any table: the darker a cell, the larger its value.

    Args:
        values: `(R, K)`. Cells are white at 0, and red below.
        rows: The R names of the rows.
        columns: The K names of the columns.
        title: The title.
        labels: The text in each cell, R lists of K; None for bare cells, which are small.
    """
    from matplotlib.figure import Figure

    cells = values.detach().cpu().numpy()
    cell_size = max(6 / len(columns), _BARE_CELL if labels is None else _LABELED_CELL)  # inches
    points = 72 * cell_size
    # Legible when the whole figure is 700 pixels wide.
    size = min(10.0, 0.7 * points) if labels is None else 0.5 * points
    left = _MARGIN + 0.6 * size / 72 * max(0, max(map(len, rows)) - max(map(len, columns)))
    width, height = cell_size * len(columns) + left + _MARGIN, cell_size * len(rows) + 2 * _MARGIN
    figure = Figure(figsize=(width, height))
    bottom, inner = _MARGIN / height, 1 - 2 * _MARGIN / height
    axes = figure.add_axes((left / width, bottom, 1 - (left + _MARGIN) / width, inner))
    largest = float(abs(cells).max()) or 1.0
    signed = bool((cells < 0).any())
    image = axes.imshow(cells, cmap="RdBu" if signed else "Blues", vmin=-largest if signed else 0, vmax=largest)
    figure.colorbar(image, cax=figure.add_axes((1 - 0.7 * _MARGIN / width, bottom, 0.15 / width, inner)))
    style: dict[str, Any] = {"fontfamily": FONT, "parse_math": False}  # dollar signs are not math
    tick_style = style | {"fontsize": size}
    axes.set_xticks(range(len(columns)), columns, rotation=0 if len(columns) <= _LARGEST_LABELED else 90, **tick_style)
    axes.set_yticks(range(len(rows)), rows, **tick_style)
    axes.tick_params(length=0, labeltop=True)
    axes.set_title(title, fontfamily=FONT, fontsize=max(10.0, size))
    for i, row in enumerate(labels or ()):
        for j, text in enumerate(row):
            fontsize = min(15.0, points / max(3.0, 0.7 * len(text)))  # fits the text into the cell
            color = "white" if abs(cells[i, j]) > largest / 2 else "0.25"
            axes.text(j, i, text, ha="center", va="center", color=color, fontsize=fontsize, **style)
    return figure


def most_frequent_labels(vocabulary: Vocabulary) -> list[int]:
    """Indices of the labels that are drawn, in the order of the vocabulary: the 40 of most training lines."""
    frequent = vocabulary.label_counts[1:].argsort(kind="stable")[::-1]
    return sorted(frequent[:_MOST_LABELS].tolist())


def label_name(name: str) -> str:
    """How a figure shows the label of a line."""
    return "".join(c if c == " " else label(c) for c in shorten(name, 16))


def label(character: str) -> str:
    """How a figure shows a character: as itself if the font has it, a control escaped, any other as its code point."""
    from matplotlib.font_manager import findfont, get_font

    if character == " ":
        return "␣"
    if printable(character) != character:
        return printable(character)
    if not character.isprintable() or get_font(findfont(FONT)).get_char_index(ord(character)) == 0:
        return f"{ord(character):04X}"
    return character

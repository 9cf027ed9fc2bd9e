"""Model -> confusion matrix of its labels: a row is the label of a line, a column the most probable label given it."""

from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor

from sequentia.data import CharDataModule
from sequentia.evaluation.evaluate import check_evaluates
from sequentia.evaluation.metrics import LABEL_PAIRS, HeldOut
from sequentia.inference.classification import label_log_probs
from sequentia.inference.model import evaluating
from sequentia.models import LanguageModel
from sequentia.reporting.curves import FONT
from sequentia.reporting.heatmap import label_name, most_frequent_labels
from sequentia.runs.checkpoint import training_data
from sequentia.vocabulary import BOUNDARY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WITH_NUMBERS = 20  # labels up to which each cell has its number; in more cells it could not be read at 700 pixels
_SIDE = 5.0  # inches of the matrix


@torch.inference_mode()
def confusion(model: LanguageModel, data: CharDataModule, split: HeldOut, pairs: int = LABEL_PAIRS) -> Tensor:
    """How many held-out lines of each label have which most probable label, `(K, K)`; those without one do not count.

    Args:
        model: The model.
        data: Data with the same vocabulary.
        split: The held-out lines.
        pairs: About how many pairs of a line and a label to compute the probability of.

    Raises:
        UserError: The model has no labels, or see `check_evaluates`.
    """
    check_evaluates(model, data, split)
    lines, V, K = getattr(data.split, split), len(model.vocabulary), len(model.vocabulary.labels)
    counts = torch.zeros(K, K, dtype=torch.long)
    with evaluating(model):
        for batch in data.eval_batches(lines[:: max(1, len(lines) * K // pairs)]):
            starts, log_probs = label_log_probs(model, move_data_to_device(batch, model.device))
            cells = torch.stack((starts - V, log_probs.argmax(1)))[:, starts != BOUNDARY].cpu()
            counts.index_put_(tuple(cells), torch.tensor(1), accumulate=True)
    return counts


def draw_confusion(
    model: LanguageModel, data: CharDataModule | None = None, split: HeldOut = "test", pairs: int = LABEL_PAIRS
) -> "Figure":
    """The confusion matrix: the darker a cell, the larger the fraction of its row's lines.

    Of more than 40 labels, the most frequent ones are drawn, and the others as one.

    Args:
        model: The model.
        data: The data, by default that of the run that the model was loaded from.
        split: The held-out lines.
        pairs: See `confusion`.

    Raises:
        UserError: See `confusion`, or the training data cannot be read.
    """
    from matplotlib.figure import Figure

    data = data or training_data(model, "the confusion matrix", "correct its path there")
    counts = confusion(model, data, split, pairs)
    right = f", {float(counts.diag().sum() / counts.sum()):.1%} right" if counts.any() else ""
    shown = most_frequent_labels(model.vocabulary)
    names = [model.vocabulary.labels[k] for k in shown]
    if len(shown) < len(counts):
        group = torch.full((len(counts),), len(shown))
        group[shown] = torch.arange(len(shown))
        names.append(f"{len(counts) - len(shown):,} others")
        counts = torch.zeros(len(names), len(counts)).long().index_add(0, group, counts)
        counts = torch.zeros(len(names), len(names)).long().index_add(1, group, counts)
    fractions = counts / counts.sum(1, keepdim=True).clamp(min=1)
    figure = Figure(figsize=(_SIDE + 2, _SIDE + 1.5), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(fractions.numpy(), cmap="Blues", vmin=0, vmax=1)
    points = 72 * _SIDE / len(names)  # of a cell
    size = min(11.0, 0.8 * points)
    columns = list(map(label_name, names))
    rows = [f"{name} ({n:,})" for name, n in zip(columns, counts.sum(1).tolist(), strict=True)]
    for set_ticks, ticks, angle in ((axes.set_xticks, columns, 90), (axes.set_yticks, rows, 0)):
        upright = len(names) * max(map(len, ticks)) < 50
        style: dict[str, Any] = {"fontsize": size, "fontfamily": FONT, "parse_math": False}
        set_ticks(range(len(names)), ticks, rotation=0 if upright else angle, **style)
    axes.tick_params(length=0)
    if len(names) <= _WITH_NUMBERS:
        for i, row in enumerate(fractions.tolist()):
            for j, fraction in enumerate(row):
                color = "white" if fraction > 0.5 else "0.25"
                axes.text(j, i, f"{100 * fraction:.0f}", ha="center", va="center", color=color, fontsize=size)
    axes.set_xlabel("most probable label", fontfamily=FONT)
    axes.set_ylabel("label of the line (number of lines)", fontfamily=FONT)
    name = {"val": "validation", "test": "test"}[split]
    axes.set_title(f"{type(model).__name__}: labels of {int(counts.sum()):,} {name} lines{right}")
    figure.colorbar(image, ax=axes, fraction=0.04).ax.yaxis.set_major_formatter("{x:.0%}")
    return figure

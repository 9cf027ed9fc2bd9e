"""Figures: the curves of a run, and saving any figure to an image file."""

import math
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.runs.history import History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT = "DejaVu Sans"
"""A font that ships with matplotlib, so that images are the same everywhere."""

_STYLES = {"train/loss": ("#b45309", "--", "training"), "val/loss": ("#1d4ed8", "-", "validation")}
_POINTS = 1_000  # per curve; more could not be told apart
_LARGEST = 1e6  # nats
_FORMATS = ("png", "svg", "pdf", "jpg", "jpeg", "eps")


def draw_curves(history: History) -> "Figure":
    """The training and validation NLL of a run by step.

    Args:
        history: The metrics from `read_history`.

    Raises:
        UserError: The run has logged no loss.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for name, (color, style, label) in _STYLES.items():
        points = [(step + 1, value) for step, value in history.get(name, {}).items() if abs(value) < _LARGEST]
        if points:
            every = math.ceil(len(points) / _POINTS)
            kept = [*points[:-1:every], points[-1]]
            marker = "o" if len(kept) == 1 else None  # a line needs two points
            steps, values = zip(*kept, strict=True)
            axes.plot(steps, values, color=color, linestyle=style, marker=marker, label=label, linewidth=1.8)
    if not axes.lines:
        raise UserError("the run has logged no loss: its metrics.csv is missing, or training has just begun")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step", fontfamily=FONT)
    axes.set_ylabel("NLL in nats per character", fontfamily=FONT)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, prop={"family": FONT})
    return figure


def save_figure(draw: "Callable[[], Figure]", out: Path) -> None:
    """Draw a figure to an image file, in the format that the file's suffix names.

    Raises:
        UserError: The suffix is not that of an image format, or the file cannot be written; or `draw` raises it.
    """
    image_format = out.suffix.lower().lstrip(".")
    if image_format not in _FORMATS:
        raise UserError(f"{out} is not the name of an image file: use the suffix .png, .svg or .pdf")
    figure = draw()
    with replacing(out) as temporary:
        figure.savefig(temporary, format=image_format)


def inline_svg(figure: "Figure") -> str:
    """A figure as an SVG element for an HTML page."""
    buffer = StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = buffer.getvalue()
    return text[text.index("<svg") :]

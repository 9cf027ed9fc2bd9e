"""Figures: the curves of one run or of several, and saving any figure to an image file."""

import math
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.runs.history import BASELINES, History

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT = "DejaVu Sans"
"""A font that ships with matplotlib, so that images are the same everywhere."""

_STYLES = {"train/loss": ("#b45309", "--", "training"), "val/loss": ("#1d4ed8", "-", "validation")}
_LINE_STYLES = ("-", "--", ":")
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
    curves = {label: (history.get(name, {}), color, style) for name, (color, style, label) in _STYLES.items()}
    return _draw(curves, "NLL in nats per character")


def draw_validation(histories: Mapping[str, History]) -> "Figure":
    """The validation NLL of several runs by step, and flat lines of the baselines that all of them have.

    Args:
        histories: The metrics of each run by its name.

    Raises:
        UserError: No run was validated.
    """
    curves: dict[str, tuple[Mapping[int, float], str, str]] = {}
    for i, (name, history) in enumerate(histories.items()):
        color, style = f"C{i % 10}", _LINE_STYLES[i // 10 % len(_LINE_STYLES)]
        curves[name] = history.get("val/loss", {}), color, style
    names = {name for history in histories.values() for name in history if name.startswith(f"{BASELINES}/")}
    last = max((max(values) for history in histories.values() for values in history.values()), default=0)
    for i, name in enumerate(sorted(names)):
        values = {value for history in histories.values() for value in history.get(name, {0: math.nan}).values()}
        if len(values) == 1:  # of the same lines
            label = name.removeprefix(f"{BASELINES}/").replace("_", " ")
            curves[label] = dict.fromkeys((0, last), *values), "0.6", _LINE_STYLES[i % len(_LINE_STYLES)]
    return _draw(curves, "validation NLL in nats per character")


def _draw(curves: Mapping[str, tuple[Mapping[int, float], str, str]], quantity: str) -> "Figure":
    """Curves by step.

    Args:
        curves: Values by step, color and line style of each, by label.
        quantity: What is drawn.

    Raises:
        UserError: There is no value.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.5, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for label, (by_step, color, style) in curves.items():
        points = [(step + 1, value) for step, value in by_step.items() if abs(value) < _LARGEST]
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
    axes.set_ylabel(quantity, fontfamily=FONT)
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

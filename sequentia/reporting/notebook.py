"""How a notebook shows a model and the lines that it makes, as HTML."""

from base64 import b64encode
from collections.abc import Iterator
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from sequentia.errors import UserError
from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.models import LanguageModel

_SHOWN = 200  # lines of a list
_LABELED = 64  # largest vocabulary whose characters are named beside the heat map


class Texts(list[str]):
    """A list of strings that a notebook shows in columns."""

    def _repr_html_(self) -> str:
        lines = "".join(f"<div>{escape(printable(text)) or '<i>empty</i>'}</div>" for text in self[:_SHOWN])
        rest = f"<i>and {len(self) - _SHOWN:,} more</i>" if len(self) > _SHOWN else ""
        return f'<div style="columns: 12em">{lines}</div>{rest}'


def model_html(model: "LanguageModel") -> str:
    """A model as HTML without references: its size, its options, a heat map of `next_probabilities`, and its curves."""
    from sequentia.reporting.heatmap import LARGEST

    options = {name: value for name, value in model.hparams.items() if name != "vocabulary"}
    rows = [
        ("vocabulary", f"{len(model.vocabulary):,} with the boundary"),
        *((name, str(value)) for name, value in options.items()),
        *([("run", str(model.run))] if model.run else []),
    ]
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(printable(text))}</td></tr>" for name, text in rows)
    image = "".join(_heat_map(model)) if len(model.vocabulary) <= LARGEST else ""
    return f"<b>{escape(model.describe())}</b><table>{cells}</table>{image}{_curves(model)}"


def _curves(model: "LanguageModel") -> str:
    """The curves of the run that the model was loaded from; empty if there are none."""
    from sequentia.reporting.curves import draw_curves, inline_svg
    from sequentia.runs.history import read_history

    if model.run is None:
        return ""
    try:
        return f"<div>{inline_svg(draw_curves(read_history(model.run)))}</div>"
    except UserError:  # the run has logged no loss, or its metrics are gone: the model is shown all the same
        return ""


def _heat_map(model: "LanguageModel") -> Iterator[str]:
    """An SVG image: a row is the first character of a line (none yet, in the first row), a column the next one."""
    from matplotlib.image import imsave

    from sequentia.reporting.heatmap import next_probabilities

    values = next_probabilities(model).cpu().numpy()
    pixels = BytesIO()
    imsave(pixels, values, cmap="Blues", vmin=0, format="png")
    V = len(values)
    yield f'<svg viewBox="-1 -1 {V + 1} {V + 1}" style="width: 100%; max-width: 32em">'
    yield "<title>probability of the next character (column) after the first one (row)</title>"
    yield f'<image width="{V}" height="{V}" style="image-rendering: pixelated" preserveAspectRatio="none" '
    yield f'href="data:image/png;base64,{b64encode(pixels.getvalue()).decode()}"/>'
    yield '<g font-size=".7" text-anchor="middle" fill="currentColor">'
    for i, character in enumerate(["·", *model.vocabulary.characters] if V <= _LABELED else []):
        label = "␣" if character == " " else escape(printable(character))
        yield f'<text x="{i + 0.5}" y="-.2">{label}</text><text x="-.5" y="{i + 0.75}">{label}</text>'
    yield "</g></svg>"

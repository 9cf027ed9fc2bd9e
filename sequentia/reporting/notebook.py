"""How a notebook shows models, scores, metrics and runs: IPython's own registry of formatters calls the functions."""

from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from sequentia.errors import UserError
from sequentia.reporting import shading
from sequentia.reporting.tables import metrics_as_text
from sequentia.text import in_notebook, ipython_shell, printable, shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sequentia.evaluation.metrics import Metrics
    from sequentia.models import LanguageModel


def show_models() -> None:
    """Have IPython show models as HTML, if it is running."""
    shell = ipython_shell()
    if shell is not None:
        html = shell.display_formatter.formatters["text/html"]
        html.for_type_by_name("sequentia.models.base", "LanguageModel", model_html)
        html.for_type_by_name("sequentia.inference.scoring", "Score", shading.html)
        html.for_type_by_name("sequentia.evaluation.metrics", "Metrics", metrics_html)


def metrics_html(metrics: "Metrics") -> str:
    """The table that `sequentia test` prints."""
    return f"<pre>{escape(metrics_as_text(metrics, 'table'))}</pre>"


def show_at_once(figure: "Figure") -> "Figure":
    """Display a figure if this is a notebook; as the value of the same cell it is not displayed again."""
    if not in_notebook():
        return figure
    from IPython.display import HTML, display

    from sequentia.reporting.curves import inline_svg

    shell, html = ipython_shell(), HTML(inline_svg(figure))
    cell = shell.execution_count

    def show() -> None:
        if shell.execution_count != cell:
            display(html)

    display(html)
    figure._ipython_display_ = show  # type: ignore[attr-defined]  # IPython's protocol
    return figure


def show_curves(run: Path) -> None:
    """Display the curves of a run that has ended, if it has any and this is a notebook."""
    if in_notebook():
        with suppress(UserError):  # it has logged no loss
            show_at_once(_curves(run))


def _curves(run: Path) -> "Figure":
    """The curves of a run.

    Raises:
        UserError: The run has logged no loss.
    """
    from sequentia.reporting.curves import draw_curves  # slow to import, and possibly never needed
    from sequentia.runs.history import read_history

    return draw_curves(read_history(run))


def model_html(model: "LanguageModel") -> str:
    """A model as HTML without references: its size, its options, the heat map of its pairs, the curves of its run."""
    from sequentia.reporting.curves import inline_svg  # slow to import, and possibly never needed
    from sequentia.reporting.heatmap import draw
    from sequentia.runs.checkpoint import origin

    options = {name: str(value) for name, value in model.hparams.items() if name != "vocabulary"}
    rows = {"vocabulary": f"{len(model.vocabulary):,} with the boundary"}
    if model.vocabulary.labels:
        rows["labels"] = shorten(", ".join(model.vocabulary.labels), 100)
    rows |= options
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(printable(text))}</td></tr>" for name, text in rows.items()
    )
    html = f"<b>{escape(model.describe())}</b><table>{cells}</table>"
    with suppress(UserError):  # a large vocabulary
        html += f"<div>{inline_svg(draw(model, small=True))}</div>"
    if (found := origin(model)) is not None:
        with suppress(UserError):  # a run that has logged no loss
            html += f"<div>{inline_svg(_curves(found.checkpoint.parent))}</div>"
    return html

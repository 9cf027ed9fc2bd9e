"""Runs -> one HTML page that needs nothing else: no network, no script. The template escapes everything from a run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, StrictUndefined

from sequentia.errors import UserError
from sequentia.reporting.curves import draw_curves, inline_svg
from sequentia.reporting.report import COLUMNS, Run, differing_options, shown
from sequentia.runs.directory import BEST, CONFIG
from sequentia.text import printable, shorten

_NUM_SAMPLES = 20
_LONGEST = 300  # characters of a value or a sample

_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    Path(__file__).with_name("page.html").read_text(encoding="utf-8")
)

T = TypeVar("T")


def page(runs: Sequence[Run]) -> str:
    """The page: the table of the runs, and the curves of each run with samples of its best checkpoint."""
    names = [*COLUMNS, *differing_options(list(runs))]
    rows = [[shown(name, (run.row | run.options).get(name), _LONGEST) for name in names] for run in runs]
    return _PAGE.render(names=names, rows=rows, runs=map(_section, runs))


def _section(run: Run) -> dict[str, Any]:
    """The values of a run in the template."""
    curves, no_curves = _attempt(lambda: inline_svg(draw_curves(run.history)))
    samples, no_samples = _attempt(lambda: _samples(run))
    best, step = run.at_best("val/loss"), run.best_step
    lowest = "" if best is None or step is None else f" The lowest validation NLL is {best:.4f}, at step {step + 1:,}."
    return {
        "name": _text(str(run.path)),
        "curves": curves,
        "no_curves": no_curves,
        "caption": f"Training and validation NLL by step.{lowest}",
        "samples": samples,
        "no_samples": no_samples,
        "command": _text(f"sequentia fit --config {run.path / CONFIG}"),
    }


def _attempt(make: Callable[[], T]) -> tuple[T | None, str]:
    """A result, or the reason why there is none."""
    try:
        return make(), ""
    except UserError as error:
        return None, _text(str(error))


def _samples(run: Run) -> list[str]:
    """Samples of the best checkpoint, with seed 0, and their labels."""
    from sequentia.inference.sampling import generate  # slow to import
    from sequentia.runs.checkpoint import load

    model = load(run.path / BEST)
    draws = generate(model, _NUM_SAMPLES, seed=0, max_length=model.context_length - 1)
    samples = [_text(sample.shown) for sample in draws]
    if not samples:
        raise UserError(draws.shortage())
    return samples


def _text(text: str) -> str:
    return shorten(printable(text), _LONGEST)

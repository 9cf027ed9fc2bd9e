"""Runs -> one HTML page that needs nothing else: no network, no script. The template escapes everything from a run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, StrictUndefined

from sequentia.errors import UserError
from sequentia.reporting.curves import draw_curves, draw_validation, inline_svg
from sequentia.reporting.report import COLUMNS, Run, differing_options, mean_and_deviation, over_seeds, shown
from sequentia.runs.directory import BEST, CONFIG
from sequentia.text import printable, shorten

_NUM_SAMPLES, _FEW_SAMPLES = 20, 5  # of each run in its own section, and side by side
_COMPARED = 6  # most runs whose samples are side by side
_LONGEST = 300  # characters of a value or a sample

_PAGE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(
    Path(__file__).with_name("page.html").read_text(encoding="utf-8")
)

T = TypeVar("T")


def page(runs: Sequence[Run]) -> str:
    """The page: runs side by side, and then the curves of each run with samples of its best checkpoint.

    Side by side are their results, the means over seeds, the validation curves and a few samples.
    """
    names = [*COLUMNS, *differing_options(list(runs))]
    rows = [[shown(name, (run.row | run.options).get(name), _LONGEST) for name in names] for run in runs]
    sections = [_section(run) for run in runs]
    curves, _ = _attempt(lambda: inline_svg(draw_validation({_text(str(run.path)): run.history for run in runs})))
    compared = [section for section in sections if section["samples"]][:_COMPARED]
    return _PAGE.render(
        names=names,
        rows=rows,
        runs=sections,
        seeds=[_mean(group) for group in over_seeds(list(runs))],
        curves=curves if len(runs) > 1 else None,
        compared=compared if len(compared) > 1 else [],
        few=range(min([_FEW_SAMPLES, *(len(section["samples"]) for section in compared)])),
    )


def _mean(group: list[Run]) -> dict[str, str]:
    """The results of runs that differ in their seeds."""
    return {
        "runs": ", ".join(_text(str(run.path)) for run in group),
        "val": mean_and_deviation([run.at_best("val/loss") for run in group]),
        "test": mean_and_deviation([run.test.get("test/loss") for run in group]),
    }


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

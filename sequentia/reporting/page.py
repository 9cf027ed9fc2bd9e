"""Runs -> one HTML page that needs nothing else: no network, no script. Everything from a run is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from sequentia.errors import UserError
from sequentia.reporting.curves import draw_curves, inline_svg
from sequentia.reporting.report import COLUMNS, Run, Value, differing_options, shown
from sequentia.runs.directory import BEST, CONFIG
from sequentia.text import printable

_NUM_SAMPLES = 20
_LONGEST = 300  # characters of a value or a sample

_STYLE = """
:root { color-scheme: light dark; --line: #ccc; --quiet: #555; }
@media (prefers-color-scheme: dark) { :root { --line: #555; --quiet: #bbb; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h1, td, li, code { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.8rem 0.3rem 0; text-align: left; vertical-align: top; }
.wide td:first-child { min-width: 11rem; }
figure { margin: 0; background: #fff; max-width: 40rem; } figure svg { width: 100%; height: auto; display: block; }
figcaption, .quiet { color: var(--quiet); } figcaption { background: Canvas; }
"""


def page(runs: Sequence[Run]) -> str:
    """The page. One run is also shown with its curves, its options and samples of its best checkpoint."""
    title = f"Run {_text(str(runs[0].path))}" if len(runs) == 1 else f"{len(runs)} runs"
    body = [f"<h1>{title}</h1>"]
    if len(runs) == 1:
        body += _details(runs[0])
    else:
        body += ["<p class=quiet>Sorted by validation NLL, in nats per character. Options are those that differ.</p>"]
        names = [*COLUMNS, *differing_options(list(runs))]
        rows = ([(name, (run.row | run.options).get(name)) for name in names] for run in runs)
        body.append(_table(names, rows, "wide"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _details(run: Run) -> list[str]:
    row = {name: value for name, value in run.row.items() if value is not None}
    parts = ["<h2>Result</h2>", _pairs(row)]
    try:
        parts += ["<h2>Curves</h2>", _curves(run)]
    except UserError as error:
        parts.append(f"<p>{_text(str(error))}</p>")
    if run.test:
        parts += ["<h2>Test</h2>", _pairs({name: f"{value:.4g}" for name, value in run.test.items()})]
    parts += [f"<h2>Samples of {BEST}</h2>", _samples(run)]
    command = f"sequentia fit --config {run.path / CONFIG}"
    parts += ["<h2>Options</h2>", f"<p>To train it again: <code>{_text(command)}</code></p>", _pairs(run.options)]
    return parts


def _curves(run: Run) -> str:
    """The curves as inline SVG, described for readers who do not see them."""
    svg = inline_svg(draw_curves(run.history))
    best, step = run.at_best("val/loss"), run.best_step
    lowest = "" if best is None or step is None else f" The lowest validation NLL is {best:.4f}, at step {step + 1:,}."
    caption = f"Training and validation NLL by step.{lowest}"
    return (
        f'<figure><div role="img" aria-label="{escape(caption)}">{svg}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _samples(run: Run) -> str:
    """Lines that the best checkpoint gives with seed 0."""
    from sequentia.runs.checkpoint import load

    try:
        model = load(run.path / BEST)
        samples = model.sample(_NUM_SAMPLES, seed=0, max_length=model.context_length - 1)
    except UserError as error:
        return f"<p>{_text(str(error))}</p>"
    items = "".join(f"<li>{_text(text) or '(empty)'}</li>" for text in samples)
    return f"<ul>{items}</ul>"


def _pairs(values: Mapping[str, Value]) -> str:
    return _table(("name", "value"), ([("", name), (name, value)] for name, value in values.items()))


def _table(header: Iterable[str], rows: Iterable[Iterable[tuple[str, Value]]], kind: str = "") -> str:
    """A table; a cell is a name, which decides how it is shown, and a value."""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(name, value, _LONGEST))}</td>" for name, value in row) + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
    )


def _text(text: str) -> str:
    """Untrusted text as HTML."""
    return escape(printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"))

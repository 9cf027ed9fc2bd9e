"""The lowest NLL for the time: each configuration, trained for several times, on names and on other data."""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.commands import fit, sequentia
from benchmarks.quality.datasets import DATASETS
from benchmarks.quality.quality import SEEDS, mean_and_deviation, write_split
from benchmarks.report import Table

CONFIGS = ("mixture", "transformer", "cnn", "mlp", "gru")
COUNTED = "ngram"
"""It takes the time that it takes."""

TIMES = (20, 45, 90, 180)
TIMES_ELSEWHERE = (20, 60)
FIGURES = Path(__file__).parents[2] / "docs" / "_static"
_PALETTES: dict[str, dict[str, Any]] = {
    "light": {"text": "#1f2937", "background": "#ffffff", "others": "#6b7280", "default": "#1d4ed8"},
    "dark": {"text": "#e5e7eb", "background": "#0d1117", "others": "#9ca3af", "default": "#60a5fa"},
}
_MARKERS = dict(zip((*CONFIGS, COUNTED), "os^vD*", strict=True))


class Point(NamedTuple):
    """A whole command.

    Attributes:
        data: Name of the data.
        config: The configuration.
        seconds: Time of the command, start-up included.
        nll: NLL of the test lines.
    """

    data: str
    config: str
    seconds: float
    nll: float


def measure(directory: Path, data: str, files: list[str], config: str, *options: str) -> Point:
    """Train on all cores, and evaluate the best checkpoint."""
    start = time.perf_counter()
    run_dir = fit(directory, config, *files, *options)
    seconds = time.perf_counter() - start
    result = json.loads(sequentia(directory, "test", f"--ckpt_path={run_dir}", "--format=json"))
    return Point(data, config, seconds, result["test/loss"])


def points(quick: bool) -> Iterator[Point]:
    """Every point, one run at a time."""
    with tempfile.TemporaryDirectory() as home:
        yield from _of_data(Path(home), "names", write_split(Path(home), "B"), TIMES[:1] if quick else TIMES)
    for make in DATASETS:
        with tempfile.TemporaryDirectory() as home:
            path = Path(home) / "lines.txt"
            path.write_text("\n".join(make().lines) + "\n", encoding="utf-8")
            times = TIMES_ELSEWHERE[:1] if quick else TIMES_ELSEWHERE
            yield from _of_data(Path(home), make.__name__, [f"--data.path={path}"], times)


def _of_data(directory: Path, data: str, files: list[str], times: tuple[int, ...]) -> Iterator[Point]:
    yield measure(directory, data, files, COUNTED)
    for config in CONFIGS:
        for number, seconds in enumerate(times):
            home = directory / str(number)
            home.mkdir(exist_ok=True)
            yield measure(home, data, files, config, _limit(seconds))


def _limit(seconds: int) -> str:
    return f"--trainer.max_time=00:{seconds // 60:02}:{seconds % 60:02}"


def default_on_names(quick: bool) -> Table:
    """The default configuration on both splits of names, with every seed."""
    table = Table("time given", "split", "seeds", "seconds", "test NLL", "lowest", "highest")
    for limit in TIMES[:1] if quick else TIMES:
        for split in "AB":
            found = []
            for seed in range(1 if quick else SEEDS):
                with tempfile.TemporaryDirectory() as home:
                    files = write_split(Path(home), split)
                    options = _limit(limit), f"--seed_everything={seed}"
                    found.append(measure(Path(home), split, files, CONFIGS[0], *options))
            nlls = [point.nll for point in found]
            seconds = f"{statistics.median(point.seconds for point in found):.0f}"
            spread = mean_and_deviation(nlls), f"{min(nlls):.4f}", f"{max(nlls):.4f}"
            table.add(f"{limit} s", split, len(found), seconds, *spread)
    return table


def draw(found: list[Point], path: Path, colors: dict[str, Any]) -> None:
    """A panel for each kind of data: NLL against seconds; the default in color, all others in gray."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

    kinds = list(dict.fromkeys(point.data for point in found))
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style: Any = dict.fromkeys(names, colors["text"])
    style |= {"axes.spines.top": False, "axes.spines.right": False, "font.size": 8, "svg.hashsalt": "frontier"}
    with rc_context(style):
        figure = Figure(figsize=(9, 2.3 * -(-len(kinds) // 4)), layout="constrained", facecolor=colors["background"])
        panels = figure.subplots(-(-len(kinds) // 4), 4, squeeze=False).flat
        for kind, axes in zip(kinds, panels, strict=False):  # in this order, no panel is lost
            axes.set(title=kind, xscale="log", facecolor=colors["background"])
            axes.xaxis.set_major_formatter(ScalarFormatter())
            axes.xaxis.set_minor_formatter("")
            axes.set_xticks(TIMES if kind == "names" else TIMES_ELSEWHERE)
            for config, marker in _MARKERS.items():
                own = [point for point in found if (point.data, point.config) == (kind, config)]
                color, width = (colors["default"], 2.0) if config == CONFIGS[0] else (colors["others"], 0.8)
                x, y = [point.seconds for point in own], [point.nll for point in own]
                axes.plot(x, y, color=color, linewidth=width, marker=marker, markersize=4, label=config)
        for axes in panels:
            axes.set_axis_off()
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
        figure.supxlabel("seconds of the whole command, on two cores")
        figure.supylabel("test NLL, nats per character")
        figure.savefig(path, metadata={"Date": None})


def run(quick: bool) -> str:
    """Train everything; returns the table, and draws the charts of the README."""
    found, table = [], Table("data", "config", "seconds", "test NLL")
    for point in points(quick):
        found.append(point)
        table.add(point.data, point.config, f"{point.seconds:.0f}", f"{point.nll:.3f}")
    if not quick:
        for name, colors in _PALETTES.items():
            draw(found, FIGURES / f"frontier-{name}.svg", colors)
    return f"## Frontier\n\n{default_on_names(quick)}\n\nAll configurations, names on split B:\n\n{table}\n"

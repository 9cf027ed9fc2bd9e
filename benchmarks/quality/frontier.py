"""The lowest NLL for the time: every kind of model, trained for several times, on names and on other data."""

import os
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.quality.datasets import DATASETS, Data
from benchmarks.quality.quality import SEEDS, fit_and_evaluate, fit_split, mean_and_deviation, write_split
from benchmarks.report import Table
from sequentia.data import CharDataModule

CONFIGS = ("mixture", "transformer", "cnn", "gru", "mlp")
COUNTED = "ngram"
"""It takes the time that it takes."""

TIMES = {"names": (20, 60, 180)} | {make.__name__: (20, 60) for make in DATASETS}
"""Seconds that the runs on one core are given."""

TIMES_ON_ALL_CORES = {20: ("AB", SEEDS), 45: ("AB", SEEDS), 90: ("AB", SEEDS), 180: ("AB", SEEDS), 1800: ("A", 1)}
"""Seconds that the runs on all cores are given -> the splits and the number of seeds."""

FIGURES = Path(__file__).parents[2] / "docs" / "_static"
_PALETTES: dict[str, dict[str, Any]] = {
    "light": {"text": "#1f2937", "background": "#ffffff", "others": "#6b7280", "default": "#1d4ed8"},
    "dark": {"text": "#e5e7eb", "background": "#0d1117", "others": "#9ca3af", "default": "#60a5fa"},
}
_MARKERS = dict(zip((*CONFIGS, COUNTED), "os^vD*", strict=True))


class Point(NamedTuple):
    """A whole command on one core.

    Attributes:
        data: Name of the data.
        config: The configuration.
        given: Seconds that it was given; None for the model that counts.
        seconds: Seconds that it took, start-up included.
        nll: NLL of the test lines.
    """

    data: str
    config: str
    given: int | None
    seconds: float
    nll: float


class Source(NamedTuple):
    """A file of lines.

    Attributes:
        lines: The lines; of the names, those to train on.
        options: The options that select the file.
        nll: NLL of the test lines under the source that generated them; None if it is unknown.
    """

    lines: list[str]
    options: list[str]
    nll: float | None


def write_data(home: Path, made: Data) -> Source:
    """Write the lines to a file."""
    path = home / "lines.txt"
    path.write_text("\n".join(made.lines) + "\n", encoding="utf-8")
    module = CharDataModule(str(path))
    test = module.split.test
    nll = None if made.nll is None else float(made.nll[test].sum() / module.corpus.num_targets(test).sum())
    return Source(made.lines, [f"--data.path={path}"], nll)


def sources(home: Path) -> dict[str, Source]:
    """Split B of the names, and the other data."""
    for name in TIMES:
        (home / name).mkdir()
    options = write_split(home / "names", "B")
    names = Source((home / "names" / "B_train.txt").read_text().split(), options, None)
    return {"names": names} | {make.__name__: write_data(home / make.__name__, make()) for make in DATASETS}


def measure(home: Path, name: str, source: Source, config: str, given: int | None) -> Point:
    """Train on one core, and evaluate the best checkpoint."""
    directory = home / name / f"{config}_{given}"
    directory.mkdir()
    options = source.options if given is None else [*source.options, _limit(given)]
    result = fit_and_evaluate(directory, config, *options, threads=1)
    return Point(name, config, given, result.seconds, result.test)


def points(home: Path, found: dict[str, Source], quick: bool) -> Iterator[Point]:
    """Every point, as many runs at a time as there are cores."""
    jobs: list[tuple[str, str, int | None]] = []
    for name in found:
        jobs.append((name, COUNTED, None))
        jobs += [(name, config, given) for given in (TIMES[name][:1] if quick else TIMES[name]) for config in CONFIGS]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda job: measure(home, job[0], found[job[0]], *job[1:]), jobs)


def _limit(seconds: int) -> str:
    return f"--trainer.max_time=00:{seconds // 60:02}:{seconds % 60:02}"


def table_of_points(found: dict[str, Source], measured: list[Point]) -> Table:
    """A row for each kind of data and time."""
    table = Table("data", "lines", "characters", "longest", "source", COUNTED, "seconds given", *CONFIGS)
    nlls = {(point.data, point.config, point.given): f"{point.nll:.3f}" for point in measured}
    for name, given in dict.fromkeys((point.data, point.given) for point in measured if point.given is not None):
        lines, _, nll = found[name]
        size = f"{len(lines):,}", len(set("".join(lines))), max(map(len, lines))
        known = "" if nll is None else f"{nll:.3f}"
        own = (nlls[name, config, given] for config in CONFIGS)
        table.add(name, *size, known, nlls[name, COUNTED, None], given, *own)
    return table


def default_on_names(quick: bool) -> Table:
    """The default configuration on all cores, on splits of names, with several seeds."""
    table = Table("seconds given", "split", "seeds", "seconds", "test NLL", "lowest", "highest")
    for given, (splits, seeds) in list(TIMES_ON_ALL_CORES.items())[: 1 if quick else None]:
        for split in splits:
            results = [fit_split(CONFIGS[0], split, seed, _limit(given)) for seed in range(1 if quick else seeds)]
            nlls = [result.test for result in results]
            seconds = f"{statistics.median(result.seconds for result in results):.0f}"
            spread = mean_and_deviation(nlls), f"{min(nlls):.4f}", f"{max(nlls):.4f}"
            table.add(given, split, len(nlls), seconds, *spread)
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
            axes.set_xticks(TIMES[kind])
            for config, marker in _MARKERS.items():
                own = [point for point in found if (point.data, point.config) == (kind, config)]
                color, width = (colors["default"], 2.0) if config == CONFIGS[0] else (colors["others"], 0.8)
                x, y = [point.seconds for point in own], [point.nll for point in own]
                axes.plot(x, y, color=color, linewidth=width, marker=marker, markersize=4, label=config)
        for axes in panels:
            axes.set_axis_off()
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
        figure.supxlabel("seconds of the whole command, on one core")
        figure.supylabel("test NLL, nats per character")
        figure.savefig(path, metadata={"Date": None})


def run(quick: bool) -> str:
    """Train everything; returns the tables, and draws the charts of the README."""
    with tempfile.TemporaryDirectory() as home:
        found = sources(Path(home))
        measured = list(points(Path(home), found, quick))
    if not quick:
        for name, colors in _PALETTES.items():
            draw(measured, FIGURES / f"frontier-{name}.svg", colors)
    tables = table_of_points(found, measured), default_on_names(quick)
    return "## Frontier\n\nOn one core, names on split B:\n\n{}\n\nThe default on all cores:\n\n{}\n".format(*tables)

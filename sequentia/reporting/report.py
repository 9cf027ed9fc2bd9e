"""Runs -> their results, side by side. Reads config.yaml, metrics.csv and test.json; needs no PyTorch."""

import json
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sequentia.errors import UserError
from sequentia.files import expanded
from sequentia.runs.directory import CONFIG, ROOT, read_config, runs_below
from sequentia.runs.history import History, read_history, read_test_result
from sequentia.text import printable, shorten

COLUMNS = (
    *("run", "architecture", "parameters", "steps", "val/loss", "test/loss"),
    *("samples_novel", "samples_unique", "seconds"),
)
"""The columns of a report, before the options in which the runs differ."""

_PARAMETERS = re.compile(rb"# \w{1,100} with ([\d,]{1,30}) parameters\r?\n")
_LENGTH = ("max_steps", "max_epochs", "val_check_interval", "check_val_every_n_epoch", "log_every_n_steps")
_NOT_COMPARED = {"trainer.default_root_dir", "model", *(f"trainer.{name}" for name in _LENGTH)}
"""Options that are in a column of their own: run, architecture, steps (from which `fit` derives the intervals)."""

_SEEDS = {"seed_everything", "data.seed"}
"""Options in which repetitions of a run differ."""

Value = str | int | float | None


@dataclass(frozen=True)
class Run:
    """The content of a run directory.

    Attributes:
        path: The run directory.
        architecture: Name of the architecture.
        parameters: Number of trained parameters; None if it is not recorded, or the model only counts.
        options: The recorded options, with dotted names.
        history: Its metrics by step.
        test: The result of `sequentia test` of its best checkpoint; empty if there is none.
    """

    path: Path
    architecture: str
    parameters: int | None
    options: dict[str, Value]
    history: History
    test: dict[str, float]

    @property
    def steps(self) -> int | None:
        """Number of steps up to the last one that was logged."""
        return max((max(values) for values in self.history.values()), default=-1) + 1 or None

    @property
    def best_step(self) -> int | None:
        """The step with the lowest validation NLL; None if there was no validation."""
        losses = {step: nll for step, nll in self.history.get("val/loss", {}).items() if math.isfinite(nll)}
        return min(losses, key=lambda step: losses[step]) if losses else None

    def at_best(self, name: str) -> float | None:
        """A metric at that step."""
        step = self.best_step
        return None if step is None else self.history.get(name, {}).get(step)

    @property
    def row(self) -> dict[str, Value]:
        """The values of `COLUMNS`. The metrics of samples are those of the best validation."""
        seconds = list(self.history.get("vitals/seconds", {}).values())
        values: tuple[Value, ...] = (
            *(str(self.path), self.architecture, self.parameters, self.steps),
            *(self.at_best("val/loss"), self.test.get("test/loss")),
            *(self.at_best("val/samples_novel"), self.at_best("val/samples_unique")),
            seconds[-1] if seconds else None,
        )
        return dict(zip(COLUMNS, values, strict=True))


def find_runs(given: list[str]) -> list[Path]:
    """The run directories that arguments name: runs, or directories of runs; without arguments all runs.

    Raises:
        UserError: There is no run.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, map(expanded, given or [str(ROOT)])):
        if not (runs := sorted(runs_below(path))):
            raise UserError(
                f"no run in {path}: give a run or a directory of runs, or train a model with `sequentia fit`"
            )
        for run in [path] if path in runs else runs:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def read_run(path: Path) -> Run:
    """Read a run directory, trusting nothing in it.

    Raises:
        UserError: The run directory is damaged, or is not a run of this package.
    """
    config = read_config(path)
    model = config.get("model")
    class_path = model.get("class_path") if isinstance(model, dict) else model
    if not isinstance(class_path, str):
        raise UserError(f"{path / CONFIG} names no architecture: it is not the configuration of a run")
    options = dict(_flattened(config))
    architecture = class_path.rsplit(".", 1)[-1]
    with (path / CONFIG).open("rb") as file:
        match = _PARAMETERS.match(file.readline(200))
    parameters = int(match[1].replace(b",", b"")) or None if match else None
    return Run(path, architecture, parameters, options, read_history(path), read_test_result(path))


def _flattened(value: Any, name: str = "") -> Iterator[tuple[str, Value]]:
    """Options with dotted names, as on the command line; a list is one value."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            inside = name if key in ("init_args", "class_path") else f"{name}.{key}".lstrip(".")
            yield from _flattened(item, inside)
    elif isinstance(value, list | dict | tuple):
        yield name, json.dumps(value, ensure_ascii=False, default=str)
    else:
        yield name, value if isinstance(value, str | int | float | None) else str(value)


def sort_runs(runs: list[Run]) -> list[Run]:
    """The runs by their lowest validation NLL; those without one last."""
    return sorted(runs, key=lambda run: (run.at_best("val/loss") or math.inf, str(run.path)))


def differing_options(runs: list[Run]) -> list[str]:
    """Names of the options whose values differ between two runs; an option that one of them lacks does not count."""
    values: dict[str, set[str]] = {}
    for run in runs:
        for name, value in run.options.items():
            values.setdefault(name, set()).add(repr(value))
    return [name for name, found in values.items() if len(found) > 1 and name not in _NOT_COMPARED]


def over_seeds(runs: list[Run]) -> list[list[Run]]:
    """Groups of two or more runs that differ in nothing but their seeds."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        options = {name: run.options[name] for name in sorted(run.options.keys() - _NOT_COMPARED - _SEEDS)}
        groups.setdefault(repr((run.architecture, run.steps, options)), []).append(run)
    return [group for group in groups.values() if len(group) > 1]


def mean_and_deviation(values: list[Value]) -> str:
    """Mean and standard deviation of numbers, for people; empty unless there are two."""
    numbers = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    return f"{statistics.mean(numbers):.4f} ± {statistics.stdev(numbers):.4f}" if len(numbers) > 1 else ""


def shown(name: str, value: Value, longest: int = 60) -> str:
    """A value for people: short, without control characters, an empty string if there is none."""
    if value is None:
        return ""
    if name in ("parameters", "steps") and isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) and name in COLUMNS:
        return f"{value:,.0f}" if name == "seconds" else f"{value:.4f}"
    return shorten(printable(str(value)), longest)

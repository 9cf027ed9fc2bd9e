"""The records of a run: its metrics.csv and test.json, read without PyTorch."""

import csv
import json
from pathlib import Path

from sequentia.errors import UserError
from sequentia.files import sha256
from sequentia.runs.directory import BEST, METRICS, TEST

History = dict[str, dict[int, float]]
"""Metric -> its value at each step at which it was logged; steps are counted from 0, in ascending order."""

BASELINES = "baselines"
"""Group of the metrics that do not change: the NLLs of simple models on the validation lines."""


def read_history(run: Path) -> History:
    """The metrics of a run; empty if it has not logged any.

    Cells that are not numbers are skipped: a killed process may have left half a row.

    Raises:
        UserError: The file cannot be read.
    """
    path = run / METRICS
    if not path.is_file():
        return {}
    history: History = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(line for line in file if line.endswith("\n")):
                step = _number(row.pop("step", None))
                if step is None or not step.is_integer() or step < 0:
                    continue
                for name, text in row.items():
                    if name is not None and (value := _number(text)) is not None:
                        history.setdefault(name, {})[int(step)] = value
    except (OSError, csv.Error) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    return {name: dict(sorted(values.items())) for name, values in history.items()}


def read_test_result(run: Path) -> dict[str, float]:
    """The metrics in test.json; empty if there is none, or it is of an earlier best checkpoint."""
    path, best = run / TEST, run / BEST
    if not (path.is_file() and best.is_file()):  # a pipe would wait for its writer
        return {}
    try:
        content = json.loads(path.read_bytes())
        if content["checkpoint_sha256"] != sha256(best):
            return {}
        return {name: float(value) for name, value in content.items() if "/" in name}
    except (OSError, LookupError, ValueError, TypeError, OverflowError, RecursionError):
        return {}


def _number(text: object) -> float | None:
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None

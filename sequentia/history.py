"""What a run has logged: its metrics.csv, read without trusting it and without PyTorch."""

import csv
from pathlib import Path

from sequentia.errors import UserError
from sequentia.runs import METRICS

_LIMIT = 1 << 28  # bytes: a million rows

History = dict[str, dict[int, float]]
"""Metric -> its value at each step at which it was logged; steps are counted from 0, in ascending order."""


def read_history(run: Path) -> History:
    """The metrics of a run; empty if it has not logged any.

    What is no number at a step is left out: a killed process may have left half a row.

    Raises:
        UserError: The file cannot be read, or is too large.
    """
    path = run / METRICS
    if not path.is_file():  # a pipe would wait for its writer
        return {}
    history: History = {}
    try:
        if path.stat().st_size > _LIMIT:
            raise UserError(f"{path} is too large for the metrics of a run")
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for row in csv.DictReader(line for line in file if line.endswith("\n")):
                step = _number(row.pop("step", None))
                if step is None or not step.is_integer() or step < 0:
                    continue
                for name, text in row.items():
                    if name is not None and (value := _number(text)) is not None:
                        history.setdefault(name, {})[int(step)] = value
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}; restore it") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    return {name: dict(sorted(values.items())) for name, values in history.items()}


def _number(text: object) -> float | None:
    try:
        return float(text) if isinstance(text, str) else None
    except ValueError:
        return None

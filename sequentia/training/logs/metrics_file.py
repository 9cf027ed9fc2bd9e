"""metrics.csv: every logged scalar of a run as plain text, whichever logger is used."""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from sequentia.files import replacing
from sequentia.runs.directory import METRICS
from sequentia.runs.history import read_history


class MetricsFile(Logger):
    """A logger that writes `metrics.csv`: a row per step, a column per metric, empty where a metric was not logged.

    Steps are counted from 0, as in TensorBoard. Every call writes to the file, in which at most the last row can be
    incomplete when the process is killed.

    Args:
        run: The run directory.
        purge_step: Number of complete steps. The first call removes the rows of later steps, which are repeated.
    """

    def __init__(self, run: Path, purge_step: int = 0) -> None:
        super().__init__()
        self.path = run / METRICS
        self._purge_step = purge_step
        self._columns: list[str] = []  # none before the first call
        self._row: dict[str, str] = {}  # the last row
        self._start = 0  # its offset in the file

    @property
    def name(self) -> str:
        """None of its own: the run is named by its directory."""
        return ""

    @property
    def version(self) -> str:
        """Name of the run directory."""
        return self.path.parent.name

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics to the row of a step, which is the last row or a new one."""
        row = {"step": str(step)} | {name: f"{float(value):.9g}" for name, value in metrics.items()}
        same_step = self._row.get("step") == row["step"]
        if same_step:
            row = self._row | row
        if not row.keys() <= {*self._columns}:
            self._rewrite(row, before=int(row["step"]) if self._columns else self._purge_step)
            same_step = False
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(row)
        with self.path.open("r+b") as file:
            # The longer row of the same step replaces it in one call: a killed process leaves one or the other.
            self._start = file.seek(self._start) if same_step else file.seek(0, os.SEEK_END)
            file.write(text.getvalue().encode())
            file.truncate()
        self._row = row

    def _rewrite(self, row: Mapping[str, str], before: int) -> None:
        """Write the complete rows before a step again, with the columns of the file and of a row."""
        history = read_history(self.path.parent)
        self._columns = ["step", *sorted({*history, *row} - {"step"})]
        with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n")
            writer.writeheader()
            for old in sorted({step for values in history.values() for step in values if step < before}):
                metrics = {name: values[old] for name, values in history.items() if old in values}
                writer.writerow({"step": old} | {name: f"{value:.9g}" for name, value in metrics.items()})

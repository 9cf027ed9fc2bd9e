"""metrics.csv: every logged scalar of a run as plain text, whichever logger is used."""

import csv
import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.runs.directory import METRICS

_STEP = "step"


class MetricsFile(Logger):
    """A logger that writes `metrics.csv`: a row per step, a column per metric, empty where a metric was not logged.

    Steps are counted from 0, as in TensorBoard. Every call writes to the file, in which at most the last row can be
    incomplete when the process is killed.

    Args:
        run: The run directory.
    """

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.path = run / METRICS
        self._columns: list[str] = []
        self._row: dict[str, str] = {}  # the last row
        self._start = 0  # offset of the last row in the file

    @property
    def name(self) -> str:
        """None of its own: the run is named by its directory."""
        return ""

    @property
    def version(self) -> str:
        """Name of the run directory."""
        return self.path.parent.name

    @property
    def save_dir(self) -> str:
        """The run directory."""
        return str(self.path.parent)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics to the row of a step, which is the last row or a new one.

        Raises:
            UserError: The file cannot be written.
        """
        values = {_STEP: str(step)} | {name: format(float(value), ".9g") for name, value in metrics.items()}
        same_step = self._row.get(_STEP) == values[_STEP]
        row = self._row | values if same_step else values
        if row.keys() - self._columns:
            self._columns = [_STEP, *sorted({*self._columns, *row} - {_STEP})]
            self._rewrite(before=int(values[_STEP]))
            same_step = False
        text = io.StringIO()
        csv.DictWriter(text, self._columns, lineterminator="\n").writerow(row)
        try:
            with self.path.open("r+b") as file:
                # The longer row of the same step replaces it in one call: a killed process leaves one or the other.
                self._start = file.seek(self._start) if same_step else file.seek(0, os.SEEK_END)
                file.write(text.getvalue().encode())
                file.truncate()
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror or error}; free some space") from error
        self._row = row

    @rank_zero_only
    def drop(self, step: int) -> None:
        """Remove the rows from a step on, which a resumed run takes again, and half a row of a killed process."""
        if self.path.is_symlink():
            self.path.unlink()  # not followed: the run directory may be a stranger's
        elif self.path.is_file():
            with _opened(self.path) as rows:
                self._columns = [_STEP, *(name for name in rows.fieldnames or () if name != _STEP)]
            self._row = {}
            self._rewrite(before=step)

    def _rewrite(self, before: int) -> None:
        """Write the rows before a step again, with all columns."""
        with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            if self.path.is_file():
                with _opened(self.path) as rows, suppress(csv.Error):  # rows after the error are lost
                    writer.writerows(row for row in rows if row.get(_STEP, "").isdecimal() and int(row[_STEP]) < before)


@contextmanager
def _opened(path: Path) -> Iterator["csv.DictReader[str]"]:
    """The complete rows of a file, which may be damaged: the last line counts only if it ends."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        yield csv.DictReader(line for line in file if line.endswith("\n"))

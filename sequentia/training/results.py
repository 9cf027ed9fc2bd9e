"""The result of `validate` and `test`: as text, and recorded in the run that it is a result of."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sequentia.errors import UserError
from sequentia.evaluation.metrics import METRICS
from sequentia.files import replacing
from sequentia.reporting.tables import as_csv, as_json, as_table

log = logging.getLogger("sequentia")

Format = Literal["table", "json", "csv"]


def as_text(values: dict[str, float], form: Format) -> str:
    """Metrics by name as a table for people, one JSON object, or CSV with a header and one line."""
    if form == "json":
        return as_json(values)
    if form == "csv":
        return as_csv(list(values), [values])
    metrics = {name: METRICS[name.split("/")[1]] for name in values}
    rows = [[name, metric.shown(values[name]), metric.meaning] for name, metric in metrics.items()]
    return as_table(["metric", "value", "meaning"], rows, right=[1])


def record(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result to a file in the run.

    Args:
        path: The file.
        result: The metrics, and `checkpoint_sha256`, because a resumed run can find a better checkpoint.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_text(f"{as_json(result)}\n", encoding="utf-8")
    except UserError as error:  # the directory of a run may be read-only
        log.warning(f"the result is not recorded in the run: {error}")

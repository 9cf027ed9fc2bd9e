"""The result of `validate` and `test`: as text, and recorded in the run that it is a result of."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sequentia.data import CharDataModule
from sequentia.data.split import SPLIT_OPTIONS
from sequentia.errors import UserError
from sequentia.evaluation.metrics import METRICS
from sequentia.files import replacing
from sequentia.reporting.tables import as_csv, as_json, as_table
from sequentia.training.loop.resume import has_changed

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


def is_own_data(data: CharDataModule, checkpoint: dict[str, Any], recorded: dict[str, Any] | None) -> bool:
    """Whether the lines and their split are those that a checkpoint was trained on.

    Args:
        data: The data.
        checkpoint: The content of the checkpoint.
        recorded: The options in the run's config.yaml.
    """
    options = (recorded or {}).get("data")
    if not isinstance(options, dict) or type(data).__name__ not in checkpoint or has_changed(data, checkpoint):
        return False
    return all(name in options and options[name] == getattr(data, name) for name in SPLIT_OPTIONS)

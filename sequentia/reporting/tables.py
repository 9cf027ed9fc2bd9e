"""Results as text: a table for people, CSV and JSON for programs."""

import csv
import io
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sequentia.text import printable, terminal_width

Format = Literal["table", "json", "csv"]


def as_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    r"""Columns of equal width, separated by two spaces; control characters are escaped.

    Args:
        header: Names of the columns.
        rows: The cells.
        right: Indices of the columns that are aligned right.

    Example:
        >>> print(as_table(["run", "NLL"], [["a", "1.9000"], ["b\n", "12.0000"]], right=[1]))
        run      NLL
        a     1.9000
        b\n  12.0000
    """
    lines = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_csv(header: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    r"""A header line and a line per row; a missing value or None is empty, numbers have full precision.

    Example:
        >>> as_csv(["run", "NLL"], [{"run": "a,b", "NLL": 0.1}, {"run": "c"}])
        'run,NLL\n"a,b",0.1\nc,'
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().removesuffix("\n")


def as_json(value: Any) -> str:
    r"""Indented JSON; a number that JSON lacks is a string: "inf", "-inf" or "nan".

    Example:
        >>> as_json({"loss": float("inf"), "lines": 2})
        '{\n  "loss": "inf",\n  "lines": 2\n}'
    """
    return json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)


def metrics_as_text(values: Mapping[str, float], form: Format) -> str:
    """Metrics by name as a table that fits the terminal, one JSON object, or CSV with a header and one line."""
    from sequentia.evaluation.metrics import METRICS  # slow to import

    if form == "json":
        return as_json(values)
    if form == "csv":
        return as_csv(list(values), [values])
    metrics = {name: METRICS[name.split("/")[1]] for name in values}
    shown = {name: metric.shown(values[name]) for name, metric in metrics.items()}
    room = terminal_width(sys.stdout) - max(map(len, shown)) - max(map(len, shown.values())) - 4
    rows = []
    for name, metric in metrics.items():
        first, *others = textwrap.wrap(metric.meaning, max(room, 20))
        rows += [[name, shown[name], first], *(["", "", other] for other in others)]
    return as_table(["metric", "value", "meaning"], rows, right=[1])


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

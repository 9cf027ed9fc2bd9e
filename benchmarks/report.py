"""Markdown tables, and a description of the machine."""

import os
import platform
import sys
from pathlib import Path

import lightning
import torch


class Table:
    """A Markdown table."""

    def __init__(self, *header: str) -> None:
        self.rows: list[tuple[str, ...]] = [header, ("---",) * len(header)]

    def add(self, *cells: object) -> None:
        """Add a row, with floats rounded to three significant digits.

        The row is also printed on stderr at once, because a table may take hours to complete.
        """
        self.rows.append(tuple(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells))
        print(*self.rows[-1], sep="  ", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return "\n".join(f"| {' | '.join(row)} |" for row in self.rows)


def machine() -> str:
    """Processor, cores, threads and versions, on one line."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; Python {platform.python_version()}, "
        f"torch {torch.__version__}, lightning {lightning.__version__}"
    )

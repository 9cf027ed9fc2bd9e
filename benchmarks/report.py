"""Tables in Markdown, and the machine they were measured on."""

import os
import platform
import sys
from pathlib import Path

import lightning
import torch


class Table:
    """Rows under a header."""

    def __init__(self, *header: str) -> None:
        self.rows: list[tuple[str, ...]] = [header, ("---",) * len(header)]

    def add(self, *cells: object) -> None:
        """One more row; numbers with three significant digits. Told on stderr at once: tables may take an hour."""
        self.rows.append(tuple(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells))
        print(*self.rows[-1], sep="  ", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        return "\n".join(f"| {' | '.join(row)} |" for row in self.rows)


def machine() -> str:
    """One line on processor, cores, threads and versions."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {torch.get_num_threads()} threads; Python {platform.python_version()}, "
        f"torch {torch.__version__}, lightning {lightning.__version__}"
    )

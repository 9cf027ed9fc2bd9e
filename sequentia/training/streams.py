"""Data that can be read only once (stdin, pipes): a run keeps it in a file, and names that file as its data."""

import json
import logging
import os
from contextlib import ExitStack
from pathlib import Path

from jsonargparse import Namespace
from lightning.fabric.utilities.rank_zero import rank_zero_only

from sequentia.data.source import is_stream, open_raw, shown
from sequentia.errors import UserError
from sequentia.runs.kept import keep
from sequentia.training.loop.processes import launched

log = logging.getLogger("sequentia")

_KEPT = "SEQUENTIA_KEPT"
"""Environment variable in which the first process names the kept files to the processes that it starts."""


def keep_streams(data: Namespace, root: Path, held: ExitStack) -> None:
    """Replace each path that can be read only once by a file that has its content.

    Args:
        data: The options of the data, changed in place.
        root: The directory of runs.
        held: Closed when the command ends.

    Raises:
        UserError: A stream is empty or given twice, or a launcher started several processes, which cannot share it.
    """
    given_by_first = json.loads(os.environ.get(_KEPT, "{}")) if rank_zero_only.rank else {}
    kept: dict[str, str] = {}

    def replaced(path: str) -> str:
        if not is_stream(path):
            return path
        if launched() > 1:
            raise UserError(f"several processes cannot share {shown(path)}: save it to a file, and give the file")
        if path in given_by_first:
            return str(given_by_first[path])
        if path in kept:
            raise UserError(f"{shown(path)} is given twice, but can be read only once: save it to a file")
        with open_raw(path) as file:
            if not file.read(1):
                raise UserError(f"{shown(path)} is empty: pipe lines into it, or give a file")
            file.seek(0)
            kept[path] = str(keep(file, root).absolute())
        log.info(f"{shown(path)} is kept as {shown(kept[path])}, and the run names that file as its data")
        return kept[path]

    for name in ("path", "val_path", "test_path"):
        if (given := data[name]) is not None:
            data[name] = replaced(given) if isinstance(given, str) else [replaced(path) for path in given]
    if kept:
        os.environ[_KEPT] = json.dumps(kept)
        held.callback(os.environ.pop, _KEPT, None)

"""Data that is in no file of the user's: a run keeps it in a file beside the runs, and names that file as its data."""

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import IO

from jsonargparse import Namespace

from sequentia.data.paths import OPTIONS, STDIN, is_url, shown
from sequentia.data.source import open_data
from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.training.loop.processes import processes

log = logging.getLogger("sequentia")


def is_stream(path: str) -> bool:
    """Whether a path is stdin, a pipe or another file that can be read only once."""
    if path == STDIN or path.startswith(("/dev/stdin", "/dev/fd/", "/proc/")):
        return True
    return not is_url(path) and os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def keep(data: IO[bytes], root: Path) -> Path:
    """Write data to a file below a directory of runs, named after its content; the same data is kept once.

    Args:
        data: An open file that can seek.
        root: The directory of runs.

    Raises:
        UserError: The file cannot be written.
    """
    digest = hashlib.file_digest(data, lambda: hashlib.blake2b(digest_size=8)).hexdigest()  # type: ignore[arg-type]
    path = root / "lines" / f"{digest}.txt"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        data.seek(0)
        with replacing(path) as temporary, temporary.open("wb") as file:
            shutil.copyfileobj(data, file)
    return path


def keep_streams(data: Namespace, trainer: Namespace) -> None:
    """Replace each path that can be read only once (stdin, a pipe) by a file that has its content.

    Args:
        data: The options of the data, changed in place.
        trainer: The options of the Trainer.

    Raises:
        UserError: A stream is empty, or there are several processes, which cannot share it.
    """

    def replaced(path: str) -> str:
        if not is_stream(path):
            return path
        if processes(trainer) > 1:
            raise UserError(f"several processes cannot share {shown(path)}: save it to a file, and give the file")
        with open_data(path, decompress=False) as file:
            if not file.read(1):
                raise UserError(f"{shown(path)} is empty: pipe lines into it, or give a file")
            file.seek(0)
            kept = str(keep(file, Path(trainer.default_root_dir)).absolute())
        log.info(f"{shown(path)} is kept as {shown(kept)}, and the run names that file as its data")
        return kept

    for name in OPTIONS:
        if (given := data[name]) is not None:
            data[name] = replaced(given) if isinstance(given, str) else [replaced(path) for path in given]

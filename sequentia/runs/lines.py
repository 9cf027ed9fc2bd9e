"""Data that is in no file of the user's: a run keeps it in a file beside the runs, and names that file as its data."""

import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import IO, Any

from sequentia.data.paths import STDIN, is_url, shown
from sequentia.data.source import open_data
from sequentia.errors import UserError
from sequentia.files import replacing

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


def kept(paths: Any, root: Path, alone: bool) -> Any:
    """The paths of a run's data, with a file in place of each that can be read only once (stdin, a pipe).

    Args:
        paths: A path, a list of them, or None.
        root: The directory of runs.
        alone: Whether the run has one process; several cannot share a stream.

    Raises:
        UserError: A stream is empty or shared, or the file cannot be written.
    """
    if isinstance(paths, list):
        return [kept(path, root, alone) for path in paths]
    if paths is None or not is_stream(paths):
        return paths
    if not alone:
        raise UserError(f"several processes cannot share {shown(paths)}: save it to a file, and give the file")
    with open_data(paths, decompress=False) as file:
        if not file.read(1):
            raise UserError(f"{shown(paths)} is empty: pipe lines into it, or give a file")
        file.seek(0)
        result = str(keep(file, root).absolute())
    log.info(f"{shown(paths)} is kept as {shown(result)}, and the run names that file as its data")
    return result

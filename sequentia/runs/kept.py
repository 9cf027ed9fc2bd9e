"""Data that is in no file of the user's, kept beside the runs, so that a run can be resumed and tested."""

import hashlib
import shutil
from pathlib import Path
from typing import IO

from sequentia.files import replacing


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

"""Lines that a Python program has, as a data file: a run's configuration can then name them."""

import hashlib
import shutil
from collections.abc import Iterable, Set
from pathlib import Path
from tempfile import TemporaryFile

from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.text import strings

DIRECTORY = "lines"
"""Name of the directory of such files, below the directory of runs."""

_BREAKS = "\n\r\0"  # the last is no line break, but not allowed in a text file


def save_lines(lines: Iterable[str], root: Path) -> Path:
    """Write lines to a text file below a directory of runs, named after its content; the same lines are saved once.

    Args:
        lines: A list, a column of a table, a generator, ...; those of a set are sorted.
        root: The directory of runs.

    Raises:
        UserError: An item is not a string or not one line, there are none, or the file cannot be written.
    """
    digest = hashlib.blake2b(digest_size=8)
    with TemporaryFile() as file:
        for index, line in enumerate(strings(sorted(lines, key=str) if isinstance(lines, Set) else lines, "the data")):
            for character in _BREAKS:
                if character in line:
                    raise UserError(
                        f"item {index:,} of the data has the character {character!r}: each item must be one line"
                    )
            try:
                encoded = f"{line}\n".encode()
            except UnicodeEncodeError as error:
                code = f"U+{ord(line[error.start]):04X}"
                raise UserError(
                    f"item {index:,} of the data has {code}, half a surrogate pair: each item must be text"
                ) from error
            digest.update(encoded)
            file.write(encoded)
        if file.tell() == 0:
            raise UserError("the data has no items: give at least two lines")
        path = root / DIRECTORY / f"{digest.hexdigest()}.txt"
        if not path.is_file():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(
                    f"cannot write the lines to {path.parent}: {error.strerror}; set default_root_dir"
                ) from error
            file.seek(0)
            with replacing(path) as temporary, temporary.open("wb") as out:
                shutil.copyfileobj(file, out)
    return path

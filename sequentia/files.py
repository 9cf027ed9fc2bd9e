"""Paths that a user gives; writing a file or directory as a whole or not at all; the hash of a file."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sequentia.errors import UserError

_SUFFIX = ".tmp"


def expanded(path: str | os.PathLike[str]) -> str:
    """A path that a user gave, with a home directory in place of a leading `~` or `~user`, as in a shell.

    Every path from a command line, a configuration or a caller goes through here once, before anything else.

    Raises:
        UserError: There is no such user, and no file of that name.
    """
    text = os.fspath(path)
    result = os.path.expanduser(text)
    start = text.partition(os.sep)[0]
    if result.startswith("~") and not os.path.lexists(start):
        raise UserError(f"no home directory {start} of {text}: give the directory itself, or ./{text}")
    return result


@contextmanager
def replacing(path: Path, elsewhere: str = "write to another directory") -> Iterator[Path]:
    """A temporary path beside `path` that is moved to `path` when the block succeeds, and is removed otherwise.

    The block creates a file or a directory at the temporary path. A file is flushed to the disk before it is moved, so
    that a crash leaves the old file or the new one. The temporary name cannot be predicted: a symlink planted at it
    would redirect the write.

    Args:
        path: What to replace. A directory can be replaced only while it is empty.
        elsewhere: What else can be done, for the error message.

    Yields:
        The temporary path. Nothing exists there yet.

    Raises:
        UserError: The block or the move fails with an `OSError`; whatever was at `path` is unchanged.
    """
    temporary = path.absolute().with_name(f".{path.name}.{secrets.token_hex(8)}{_SUFFIX}")
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        previous = "; the previous file is intact" if path.is_file() else ""
        reason = f"{error.strerror or error}{previous}"
        remedy = "resolve that" if path.absolute().parent.is_dir() else "create its directory"
        raise UserError(f"cannot write {path}: {reason}; {remedy}, or {elsewhere}") from error
    finally:
        with suppress(OSError):  # it was moved, or never created
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink()


def remove_leftovers(directory: Path) -> None:
    """Remove the temporary files that a process killed while writing left in `directory`."""
    for path in directory.glob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""A cache of encoded corpora on disk, shared by all processes that read the same data.

Large data is encoded once and then memory-mapped: the processes of a distributed run, and later runs, share one copy in
the operating system's page cache. The name of an entry is a hash of the files' bytes and of the options of the
encoding, so an entry never has to be invalidated. An entry whose checksum is wrong is encoded again.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from sequentia.data.corpus import Corpus, read_corpus
from sequentia.data.source import Opener, download, read_block
from sequentia.data.tables import Column, check_table
from sequentia.errors import UserError
from sequentia.files import replacing
from sequentia.vocabulary import Vocabulary

_LAYOUT = 5  # version of the entries' format, part of their names
_MIN_BYTES = 32 * 2**20  # smaller data is encoded in about a second, so it is not cached
_ARRAYS = ("ids", "offsets", "hashes")

log = logging.getLogger(__name__)


def cache_directory() -> Path | None:
    """The directory of the entries: `sequentia` in the user's cache directory (`XDG_CACHE_HOME`, else `~/.cache`).

    None if the user has no home directory, as in a container that runs with an arbitrary user id.
    """
    if parent := os.environ.get("XDG_CACHE_HOME"):
        return Path(parent) / "sequentia"
    try:
        return Path.home() / ".cache" / "sequentia"
    except RuntimeError:
        return None


def cached(paths: list[str], *, column: Column | None, max_length: int | None, nfc: bool) -> Corpus:
    """Read a corpus as `read_corpus` does, through the cache if the data is large.

    If several processes make the same entry at the same time, all of them use the one that is finished first. If the
    entry cannot be written, the corpus stays in memory.

    Args:
        paths: See `read_corpus`. A URL is downloaded once.
        column: See `read_corpus`.
        max_length: See `read_corpus`.
        nfc: See `read_corpus`.

    Raises:
        UserError: A file cannot be read, is not UTF-8 text or a valid table, or has no line to keep.
    """
    options: dict[str, Any] = {"max_length": max_length, "nfc": nfc}
    if column is not None:  # then the suffix of a file decides how its bytes are read
        options |= {"column": column, "formats": [check_table(path) for path in paths]}
    with download(paths) as open_file:
        seen = _Key(options, open_file)
        for path in paths:
            with seen.open(path):
                pass
        directory = cache_directory()
        if seen.size < _MIN_BYTES or directory is None:
            return read_corpus(paths, column=column, max_length=max_length, nfc=nfc, open_file=open_file)
        if (found := _load(directory / seen.name())) is not None:
            return found
        read = _Key(options, open_file)  # of what is read now: a file may have changed in the meantime
        corpus = read_corpus(paths, column=column, max_length=max_length, nfc=nfc, open_file=read.open)
    entry = directory / read.name()
    try:
        _write(corpus, entry)
    except (OSError, UserError) as error:
        if not entry.is_dir():  # otherwise another process was faster
            log.warning(f"the encoded data is not cached, so each process holds its own copy: {error}")
            return corpus
    found = _load(entry)
    return corpus if found is None else found


class _Key:
    """The name of the entry for files and options, computed while the files are read.

    Args:
        options: Options of the encoding.
        open_file: Opens each path.

    Attributes:
        size: Number of bytes read.
    """

    def __init__(self, options: dict[str, Any], open_file: Opener) -> None:
        self.size = 0
        self._open_file = open_file
        self._digest = hashlib.sha256(json.dumps([_LAYOUT, options], sort_keys=True).encode())
        self._sizes: list[int] = []

    @contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """Open a file; what is read from it becomes part of the name, as does the rest of it."""
        before = self.size
        with self._open_file(path) as file:
            hashed = cast(IO[bytes], _Hashed(file, self))
            yield hashed
            while read_block(hashed, path):
                pass
        self._sizes.append(self.size - before)

    def add(self, block: bytes) -> None:
        """Add the next bytes of the open file."""
        self._digest.update(block)
        self.size += len(block)

    def name(self) -> str:
        """The name of the entry for all files read so far."""
        whole = self._digest.copy()
        whole.update(json.dumps(self._sizes).encode())  # the same bytes may be cut into files differently
        return whole.hexdigest()


class _Hashed:
    """An open file, of which only `read` is used."""

    def __init__(self, file: IO[bytes], key: _Key) -> None:
        self._file, self._key = file, key

    def read(self, size: int) -> bytes:
        """Read the next bytes."""
        block = self._file.read(size)
        self._key.add(block)
        return block


def _write(corpus: Corpus, entry: Path) -> None:
    """Write a corpus as an entry of the cache.

    Raises:
        OSError: The cache directory cannot be created.
        UserError: The entry exists or cannot be written.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    with replacing(entry, "free some space, or set XDG_CACHE_HOME to another directory") as temporary:
        temporary.mkdir()
        for name in _ARRAYS:
            np.save(temporary / f"{name}.npy", getattr(corpus, name))
        rest = {
            "characters": corpus.vocabulary.characters,
            "lines_per_file": corpus.lines_per_file,
            "num_blank": corpus.num_blank,
            "num_long": corpus.num_long,
            "num_joined": corpus.num_joined,
            "max_length": corpus.max_length,
        }
        rest["checksum"] = _checksum(temporary, rest)
        (temporary / "corpus.json").write_text(json.dumps(rest), encoding="utf-8")


def _checksum(entry: Path, rest: dict[str, Any]) -> str:
    """Checksum of an entry's arrays, and of the rest of the corpus."""
    whole = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name in _ARRAYS:
        with (entry / f"{name}.npy").open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _load(entry: Path) -> Corpus | None:
    """The corpus of an entry, memory-mapped; None if there is no entry, or if it was damaged and has been removed."""
    if not entry.is_dir():
        return None
    try:
        rest = json.loads((entry / "corpus.json").read_text(encoding="utf-8"))
        if rest.pop("checksum") != _checksum(entry, rest):
            raise ValueError("wrong checksum")
        arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return Corpus(
            vocabulary=Vocabulary(rest["characters"]),
            lines_per_file=tuple(rest["lines_per_file"]),
            num_blank=rest["num_blank"],
            num_long=rest["num_long"],
            num_joined=rest["num_joined"],
            max_length=rest["max_length"],
            **arrays,
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError):
        log.warning(f"the cache entry {entry} is damaged: encoding the data again")
        shutil.rmtree(entry, ignore_errors=True)
        return None

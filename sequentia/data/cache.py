"""An encoded corpus on disk, shared by all processes that read the same data.

Large data is encoded once and then mapped into memory: the processes of a distributed run, and later runs, share one
copy in the operating system's page cache. An entry is named by a hash of the files' bytes and of all that shapes the
encoding, so changed data never meets an old entry.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sequentia.data.corpus import Corpus, open_data, read_block
from sequentia.vocabulary import Vocabulary

_LAYOUT = 2  # number of the entries' layout, a part of their names
_WORTHWHILE = 32 * 2**20  # bytes of data from which encoding takes longer than a second or so
_ARRAYS = ("ids", "offsets", "hashes")

log = logging.getLogger(__name__)


def cache_directory() -> Path:
    """Where entries lie: `sequentia` in the user's cache directory (`XDG_CACHE_HOME`, else `~/.cache`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sequentia"


def cached(paths: list[str], options: Mapping[str, Any], read: Callable[[], Corpus]) -> Corpus:
    """The corpus of `paths`, from the cache if it is there, else by `read` and then kept in it.

    Small data is read without the cache. Two processes that make an entry at once both make it; the first to finish
    moves it into place, and both use that one.

    Args:
        paths: The data files, as `read_corpus` takes them.
        options: What else the corpus depends on.
        read: Reads and encodes the files.

    Raises:
        UserError: A file cannot be read.
    """
    size, key = _key(paths, options)
    if size < _WORTHWHILE:
        return read()
    entry = cache_directory() / key
    if entry.is_dir():
        try:
            return _open(entry)
        except (OSError, EOFError, ValueError, KeyError):
            log.warning(f"{entry} is damaged: it is made again")
            shutil.rmtree(entry, ignore_errors=True)
    corpus = read()
    try:
        _write(corpus, entry)
    except OSError as error:
        log.warning(f"encoded data is not kept in {entry.parent} ({error.strerror}): each process holds its own")
        return corpus
    return _open(entry)


def _key(paths: list[str], options: Mapping[str, Any]) -> tuple[int, str]:
    """Number of bytes of all files, up to where the cache becomes worthwhile or in full; and the entry's name."""
    digest = hashlib.sha256(json.dumps([_LAYOUT, dict(options)], sort_keys=True).encode())
    size = 0
    for path in paths:
        with open_data(path) as file:
            before = size
            while block := read_block(file, path):
                digest.update(block)
                size += len(block)
        digest.update(f"{size - before},".encode())  # where one file ends and the next begins
    return size, digest.hexdigest()


def _write(corpus: Corpus, entry: Path) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=entry.parent))
    try:
        for name in _ARRAYS:
            np.save(temporary / f"{name}.npy", getattr(corpus, name))
        rest = {
            "characters": corpus.vocabulary.characters,
            "files": corpus.files,
            "blank": corpus.blank,
            "long": corpus.long,
            "max_length": corpus.max_length,
        }
        (temporary / "corpus.json").write_text(json.dumps(rest), encoding="utf-8")
        try:
            temporary.rename(entry)
        except OSError:
            if not entry.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _open(entry: Path) -> Corpus:
    rest = json.loads((entry / "corpus.json").read_text(encoding="utf-8"))
    ids, offsets, hashes = (np.load(entry / f"{name}.npy", mmap_mode="r") for name in _ARRAYS)
    vocabulary = Vocabulary(rest["characters"])
    files, max_length = tuple(rest["files"]), rest["max_length"]
    return Corpus(vocabulary, ids, offsets, hashes, files, rest["blank"], rest["long"], max_length)

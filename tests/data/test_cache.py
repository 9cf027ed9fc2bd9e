"""The cache never changes a corpus: its entries equal what was read, and any failure of the cache is harmless."""

import errno
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sequentia.data import CharDataModule, cache
from sequentia.data.corpus import Corpus, read_corpus
from tests.data.conftest import same

LINES = ["zoë", "emma", "li", "emma"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory, used for data of any size."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_MIN_BYTES", 1)
    return tmp_path / "cache" / "sequentia"


def test_a_cached_corpus_equals_the_one_that_was_read(directory: Path, write: Callable[..., str]) -> None:
    path = write([*LINES, "", "abcdefgh"])
    read = read_corpus([path], max_length=5)
    for _ in range(2):
        corpus = CharDataModule(path, max_length=5).corpus
        assert isinstance(corpus.ids, np.memmap)
        assert same(corpus, read)
    assert len(list(directory.iterdir())) == 1


def test_other_bytes_or_options_make_another_entry(directory: Path, write: Callable[..., str]) -> None:
    path = write(LINES)
    CharDataModule(path).corpus  # noqa: B018
    CharDataModule(path, max_length=4).corpus  # noqa: B018
    CharDataModule(path, nfc=True).corpus  # noqa: B018
    write([*LINES, "new"])
    assert len(CharDataModule(path).corpus) == 5
    assert len(list(directory.iterdir())) == 4


@pytest.mark.usefixtures("directory")
def test_the_same_lines_divided_into_other_files_make_another_entry(write: Callable[..., str]) -> None:
    one = CharDataModule(write(["ab", "cd"], "a"), val_path=write(["ef", "gh"], "b")).corpus
    other = CharDataModule(write(["ab", "cd", "ef"], "c"), val_path=write(["gh"], "d")).corpus
    assert one.lines_per_file == (2, 2)
    assert other.lines_per_file == (3, 1)


def test_content_that_changes_while_it_is_read_is_not_taken_for_the_earlier_content(
    directory: Path, write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, load = write(LINES), cache._load

    def load_late(entry: Path) -> Corpus | None:
        found = load(entry)
        write(["new", *LINES])  # after the content was hashed, and before it is read
        return found

    with monkeypatch.context() as patch:
        patch.setattr(cache, "_load", load_late)
        changed = CharDataModule(path).corpus
    assert len(changed) == len(LINES) + 1
    entries = set(directory.iterdir())
    assert same(CharDataModule(path).corpus, changed)
    assert set(directory.iterdir()) == entries
    assert same(CharDataModule(write(LINES)).corpus, read_corpus([path]))
    assert len(set(directory.iterdir()) - entries) == 1


def test_small_data_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    CharDataModule(write(LINES)).corpus  # noqa: B018
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("directory")
def test_without_a_cache_directory_the_corpus_stays_in_memory_with_a_warning(
    tmp_path: Path, write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    path = write(LINES)
    assert same(CharDataModule(path).corpus, read_corpus([path]))
    assert "the encoded data is not cached" in caplog.text


def test_on_a_full_disk_the_corpus_stays_in_memory_with_a_warning(
    directory: Path, write: Callable[..., str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", save)
    path = write(LINES)
    assert same(CharDataModule(path).corpus, read_corpus([path]))
    assert "No space left on device; free some space, or set XDG_CACHE_HOME" in caplog.text
    assert list(directory.iterdir()) == []


def _make(path: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    cache._MIN_BYTES = 1
    barrier.wait()
    corpus = CharDataModule(path).corpus
    assert isinstance(corpus.ids, np.memmap)
    os._exit(0 if len(corpus) == len(LINES) else 1)


def test_processes_that_make_the_same_entry_share_it(directory: Path, write: Callable[..., str]) -> None:
    path = write(LINES)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_make, args=(path, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(list(directory.iterdir())) == 1  # no temporary directory is left


def test_an_entry_that_another_process_finished_first_is_used(
    directory: Path, write: Callable[..., str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_entry = cache._write
    inodes: list[int] = []

    def write_twice(corpus: Corpus, entry: Path) -> None:
        write_entry(corpus, entry)
        inodes.append(entry.stat().st_ino)
        write_entry(corpus, entry)

    monkeypatch.setattr(cache, "_write", write_twice)
    path = write(LINES)
    corpus = CharDataModule(path).corpus
    assert isinstance(corpus.ids, np.memmap)
    assert same(corpus, read_corpus([path]))
    assert [entry.stat().st_ino for entry in directory.iterdir()] == inodes
    assert caplog.text == ""


def _rename_a_field(entry: Path) -> None:
    rest = json.loads((entry / "corpus.json").read_text())
    rest["blank"] = rest.pop("num_blank")
    (entry / "corpus.json").write_text(json.dumps(rest))


def _flip(name: str, position: int) -> Callable[[Path], None]:
    """Flip a bit of a file."""

    def flip(entry: Path) -> None:
        content = bytearray((entry / name).read_bytes())
        content[position] ^= 1
        (entry / name).write_bytes(content)

    return flip


@pytest.mark.parametrize(
    "damage",
    [
        *(
            pytest.param(_flip(f"{name}.npy", position), id=f"a bit of {name} at {position}")
            for name in ("ids", "offsets", "hashes")
            for position in (0, 20, 130, -1)
        ),
        pytest.param(_flip("corpus.json", 20), id="a bit of the vocabulary"),
        pytest.param(_flip("corpus.json", -4), id="a bit of the checksum"),
        pytest.param(lambda entry: (entry / "corpus.json").write_text("[]"), id="JSON that is no object"),
        pytest.param(lambda entry: (entry / "corpus.json").write_text("[" * 100_000), id="deep JSON"),
        pytest.param(lambda entry: (entry / "ids.npy").unlink(), id="a missing array"),
        pytest.param(lambda entry: (entry / "ids.npy").write_bytes(b""), id="an empty array"),
        pytest.param(lambda entry: (entry / "corpus.json").write_text("{"), id="truncated JSON"),
        pytest.param(_rename_a_field, id="another field"),
    ],
)
def test_a_damaged_entry_is_replaced_with_a_warning(
    damage: Callable[[Path], None], directory: Path, write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(LINES)
    CharDataModule(path).corpus  # noqa: B018
    (entry,) = directory.iterdir()
    damage(entry)
    assert same(CharDataModule(path).corpus, read_corpus([path]))
    assert f"the cache entry {entry} is damaged: encoding the data again" in caplog.text
    caplog.clear()
    CharDataModule(path).corpus  # noqa: B018
    assert caplog.text == ""


def test_a_user_without_a_home_directory_has_no_cache(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container that runs with an arbitrary user id."""

    def no_entry(uid: int) -> None:
        raise KeyError(uid)

    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", no_entry)
    monkeypatch.setattr("sequentia.data.cache._MIN_BYTES", 0)
    assert cache.cache_directory() is None
    assert len(cache.cached([write(["emma", "ava"])], column=None, max_length=None, nfc=False)) == 2

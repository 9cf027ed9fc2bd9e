import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sequentia.data import CharDataModule, cache
from sequentia.data.corpus import Corpus, read_corpus

LINES = ["zoë", "emma", "li", "emma"]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_WORTHWHILE", 1)
    return tmp_path / "cache" / "sequentia"


def same(a: Corpus, b: Corpus) -> bool:
    return (
        a.vocabulary == b.vocabulary
        and (a.files, a.blank, a.long) == (b.files, b.blank, b.long)
        and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("ids", "offsets", "hashes"))
        and a.ids.dtype == b.ids.dtype
    )


def test_what_comes_from_the_cache_is_what_was_read(directory: Path, write: Callable[..., str]) -> None:
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


def test_where_one_file_ends_and_the_next_begins_matters(directory: Path, write: Callable[..., str]) -> None:
    one = CharDataModule(write(["ab", "cd"], "a"), val_path=write(["ef", "gh"], "b")).corpus
    other = CharDataModule(write(["ab", "cd", "ef"], "c"), val_path=write(["gh"], "d")).corpus
    assert one.files == (2, 2)
    assert other.files == (3, 1)


def test_small_data_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    CharDataModule(write(LINES)).corpus  # noqa: B018
    assert not (tmp_path / "cache").exists()


def test_a_directory_that_cannot_be_written_is_told_and_does_no_harm(
    tmp_path: Path, directory: Path, write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the directory should be")
    path = write(LINES)
    assert same(CharDataModule(path).corpus, read_corpus([path]))
    assert "not kept" in caplog.text


def _make(path: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    cache._WORTHWHILE = 1
    barrier.wait()
    corpus = CharDataModule(path).corpus
    assert isinstance(corpus.ids, np.memmap)
    os._exit(0 if len(corpus) == len(LINES) else 1)


def test_two_processes_that_make_an_entry_at_once_share_it(directory: Path, write: Callable[..., str]) -> None:
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


def test_a_damaged_entry_is_made_again(
    directory: Path, write: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(LINES)
    for damage in (Path.unlink, lambda file: file.write_bytes(b"")):
        CharDataModule(path).corpus  # noqa: B018
        (entry,) = directory.iterdir()
        damage(entry / "ids.npy")
        assert same(CharDataModule(path).corpus, read_corpus([path]))
        assert "is damaged: it is made again" in caplog.text
        caplog.clear()
    CharDataModule(path).corpus  # noqa: B018
    assert caplog.text == ""

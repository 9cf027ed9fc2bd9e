"""Files, URLs and archives give the same corpus; a URL is downloaded once; unreadable data is refused by name."""

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sequentia.data import CharDataModule, cache, source
from sequentia.data.corpus import read_corpus
from sequentia.errors import UserError
from tests.data.conftest import same

CONTENT = "zoë\nemma\n\nava\n".encode()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ARCHIVES: dict[str, bytes] = {
    "data.txt": CONTENT,
    "data.gz": gzip.compress(CONTENT),
    "data.txt.bz2": bz2.compress(CONTENT),
    "data.xz": lzma.compress(CONTENT),
    "data.zip": zipped({"names/": b"", "names/names.txt": CONTENT, "__MACOSX/names/._names.txt": b"x"}),
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths opened on an empty `memory://` filesystem so far, in order."""
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    paths: list[str] = []
    open_file = MemoryFileSystem._open

    def _open(self: MemoryFileSystem, path: str, mode: str = "rb", **options: Any) -> Any:
        paths.append(path)
        return open_file(self, path, mode, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", _open)
    return paths


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_compressed_file_is_read_as_the_plain_file_is(write: Callable[..., str], name: str) -> None:
    assert same(read_corpus([write(ARCHIVES[name], name)]), read_corpus([write(CONTENT, "plain.txt")]))


@pytest.mark.parametrize("min_bytes", [1, 1 << 30], ids=["cached", "uncached"])
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_url_is_downloaded_once_and_read_as_the_local_file_is(
    write: Callable[..., str],
    opened: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    min_bytes: int,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_MIN_BYTES", min_bytes)
    MemoryFileSystem().pipe_file(f"/{name}", ARCHIVES[name])
    opened.clear()
    corpus = CharDataModule(f"memory://{name}").corpus
    assert opened == [f"/{name}"]
    assert same(corpus, read_corpus([write(CONTENT)]))


def test_a_url_given_twice_is_downloaded_once(write: Callable[..., str], opened: list[str]) -> None:
    MemoryFileSystem().pipe_file("/data.txt", CONTENT)
    opened.clear()
    corpus = CharDataModule("memory://data.txt", val_path="memory://data.txt").corpus
    assert opened == ["/data.txt"]
    assert same(corpus, read_corpus([write(CONTENT)] * 2))


def test_local_files_and_packaged_datasets_are_not_copied(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_copy() -> None:
        raise AssertionError("a local file was copied")

    monkeypatch.setattr(source, "TemporaryFile", no_copy)
    path = write(CONTENT)
    for local in (path, f"file://{path}"):
        assert len(CharDataModule(local).corpus) == 3
    assert len(CharDataModule("names").corpus) == 32_257


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("junk.txt", b"ab\n\xff\n", "memory://junk.txt is not UTF-8 text: byte 3 is invalid"),
        ("zeros.txt", b"a\0b\n", "memory://zeros.txt is not a text file: byte 1 is NUL"),
        ("empty.txt", b"", "memory://empty.txt is empty: give a file with one example per line"),
        ("broken.gz", gzip.compress(CONTENT, mtime=0)[:-9], "cannot read memory://broken.gz"),
        ("two.zip", zipped({"a": CONTENT, "b": CONTENT}), "memory://two.zip contains 2 files"),
    ],
)
@pytest.mark.usefixtures("opened")
def test_a_url_that_cannot_be_read_is_refused_by_its_own_name(name: str, content: bytes, message: str) -> None:
    MemoryFileSystem().pipe_file(f"/{name}", content)
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        CharDataModule(f"memory://{name}").corpus  # noqa: B018


@pytest.mark.usefixtures("opened")
def test_a_missing_url_and_an_unknown_protocol_are_refused() -> None:
    with pytest.raises(UserError, match=r"^no data file 'memory://nowhere\.txt': give a file, a URL, or a packaged"):
        CharDataModule("memory://nowhere.txt").corpus  # noqa: B018
    with pytest.raises(UserError, match=r"^cannot open nonsense://data\.txt: .*nonsense"):
        CharDataModule("nonsense://data.txt").corpus  # noqa: B018


@pytest.mark.usefixtures("opened")
def test_a_download_that_does_not_fit_on_the_disk_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(source, "TemporaryFile", FullDisk)
    MemoryFileSystem().pipe_file("/data.txt", CONTENT)
    with pytest.raises(UserError, match=r"^cannot download memory://data\.txt: No space left on device; set TMPDIR"):
        CharDataModule("memory://data.txt").corpus  # noqa: B018


def test_no_copy_is_left_after_reading(opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    MemoryFileSystem().pipe_file("/data.txt", CONTENT)
    opened.clear()
    with source.download(["memory://data.txt"]) as open_file:
        for _ in range(2):
            with open_file("memory://data.txt") as file:
                assert file.read() == CONTENT
        copy = file
    assert copy.closed
    assert list(tmp_path.iterdir()) == []
    assert opened == ["/data.txt"]


@pytest.mark.parametrize("cut", [5, 20, -1])
def test_a_truncated_archive_is_refused_by_name(write: Callable[..., str], cut: int) -> None:
    path = write(gzip.compress(b"emma\nava\n" * 50)[:cut], "data.gz")
    with pytest.raises(UserError, match=r"^cannot read .*data\.gz: "):
        read_corpus([path])


def test_gzip_without_its_extension_is_refused_with_the_remedy(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match=r"is not UTF-8 text: byte 1 is invalid \(it looks like gzip: name it \.gz\)"):
        read_corpus([write(gzip.compress(CONTENT), "data.txt")])


@pytest.mark.parametrize("number", [0, 2])
def test_a_zip_archive_without_exactly_one_file_is_refused(number: int, write: Callable[..., str]) -> None:
    path = write(zipped({f"{i}.txt": CONTENT for i in range(number)}), "data.zip")
    with pytest.raises(UserError, match=rf"data\.zip contains {number} files: give an archive with one file"):
        read_corpus([path])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused(write: Callable[..., str], encoding: str) -> None:
    with pytest.raises(UserError, match=r"not UTF-8|NUL"):
        read_corpus([write("emma\nava\n".encode(encoding))])


def test_a_directory_a_missing_file_and_an_empty_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory: give a file with one example per line"):
        read_corpus([str(tmp_path)])
    missing = str(tmp_path / "nowhere.txt")
    with pytest.raises(
        UserError, match=re.escape(f"no data file {missing!r}: give a file, a URL, or a packaged dataset")
    ):
        read_corpus([missing])
    with pytest.raises(UserError, match="/dev/null is empty: give a file with one example per line"):
        read_corpus([os.devnull])


def test_the_error_gives_the_offset_of_the_bad_byte_across_blocks(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    invalid, nul = write(b"emma\nava\n\xffmia\n", "invalid"), write("zoë\nava\n\0mia\n".encode(), "nul")
    for block in (1, 4, 1 << 22):
        monkeypatch.setattr(source, "_BLOCK", block)
        with pytest.raises(UserError, match="byte 9 is invalid"):
            read_corpus([invalid])
        with pytest.raises(UserError, match="byte 9 is NUL"):
            read_corpus([nul])

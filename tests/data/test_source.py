"""Any way to give a file gives the same corpus: a pattern, a list, a URL, an archive; others are refused by name."""

import bz2
import gzip
import io
import logging
import lzma
import os
import pickle
import random
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sequentia.data import CharDataModule, source
from sequentia.data.corpus import read_corpus
from sequentia.data.paths import expand, plain, shown
from sequentia.errors import UserError
from tests.data.conftest import same

CONTENT = "zoë\nemma\n\nava\n".encode()
WORDS = [a + b + c for a in "bcdfghjklm" for b in "aeiou" for c in ("n", "la", "rin", "tte", "")]


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
    "twice": bz2.compress(gzip.compress(CONTENT)),
    "plain.gz": CONTENT,
    "data.zip": zipped({"names/": b"", "names/names.txt": CONTENT, "__MACOSX/names/._names.txt": b"x"}),
}


SIGNATURES: dict[str, bytes] = {
    "an HTML": b"\xef\xbb\xbf\n<!-- list\n-->\n<!DOCTYPE HTML>\n<html><p>emma",
    "an HTML or": "<html lang=en>\nemma".encode("utf-16"),
    "a PDF or RTF": b"%PDF-1.7\n",
    "a PDF or RTF document": b"{\\rtf1\\ansi emma}",
    "an image": b"\x89PNG\r\n\x1a\n",
    "a Python pickle": pickle.dumps(["emma", "ava"]),
    "FASTQ, which has to be converted to FASTA": b"@1\nACGT\n+\n@+II\n",
    "a Python pickle or a tar archive": tarfile.TarInfo("emma").tobuf(),
    "a pointer of Git LFS, and `git lfs pull`": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n",
    "a pointer of git-annex, and `git annex get`": b"/annex/objects/SHA256E-s12--ab.txt\n",
    "a pointer of DVC, and `dvc pull`": b"md5: 0a\nouts:\n- md5: a304afb96060aad90176268345e10355\n  size: 1\n",
}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryFileSystem:
    """An empty `memory://` filesystem."""
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    return MemoryFileSystem()


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_compressed_file_and_a_url_give_the_corpus_of_the_plain_file(
    write: Callable[..., str], memory: MemoryFileSystem, name: str
) -> None:
    plain = read_corpus([write(CONTENT, "plain.txt")])
    assert same(read_corpus([write(ARCHIVES[name], name)]), plain)
    memory.pipe_file(f"/{name}", ARCHIVES[name])
    assert same(CharDataModule(f"memory://{name}").corpus, plain)


NUL = "column {} of line 1 of memory://{} is a NUL, as in binary data, or in UTF-16 without a byte order mark: give its"
BAD: dict[str, tuple[bytes, str]] = {
    "junk.txt": (
        "ab\nRené\n".encode("latin-1"),
        "column 4 of line 2 of memory://junk.txt is not UTF-8 text, 'Ren\\xe9': "
        "give its encoding (cp1252 reads 'René'), or leave out such lines with skip_invalid",
    ),
    "empty.txt": (b"", "memory://empty.txt has no text: give another file"),
    "broken.gz": (gzip.compress(CONTENT, mtime=0)[:-9], "cannot open memory://broken.gz: EOFError: "),
    "two.zip": (zipped({"a": CONTENT, "b": CONTENT}), "memory://two.zip is an archive of 2 files: give an archive"),
    "utf-16-le": ("emma\n".encode("utf-16-le"), NUL.format(2, "utf-16-le")),
    "utf-16-be": ("emma\n".encode("utf-16-be"), NUL.format(1, "utf-16-be")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_read_is_refused_by_its_name(memory: MemoryFileSystem, name: str) -> None:
    content, message = BAD[name]
    memory.pipe_file(f"/{name}", content)
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        CharDataModule(f"memory://{name}").corpus  # noqa: B018


@pytest.mark.parametrize("kind", SIGNATURES)
def test_a_file_that_is_not_lines_of_text_is_named(memory: MemoryFileSystem, kind: str) -> None:
    for content in (SIGNATURES[kind], gzip.compress(SIGNATURES[kind])):
        memory.pipe_file("/file", content)
        with pytest.raises(UserError, match=f"^memory://file is not lines of text: it is {kind}"):
            read_corpus(["memory://file"])


def test_a_failed_download_says_what_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not found is all that fsspec says of any failure."""

    def fail(*arguments: object) -> None:
        raise FileNotFoundError("https://a.org/x") from ValueError("403, message='Forbidden'")

    monkeypatch.setattr(source.fsspec, "open", fail)
    message = "cannot open https://a.org/x: ValueError: 403, message='Forbidden'; check the address"
    with pytest.raises(UserError, match=f"^{re.escape(message)}"):
        read_corpus(["https://a.org/x"])


@pytest.mark.usefixtures("memory")
def test_a_path_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    for path, message in (
        ("memory://nowhere.txt", "no data file 'memory://nowhere.txt': give a file, a URL, or a packaged dataset"),
        ("nowhere.txt", "no data file 'nowhere.txt': give a file, a URL, or a packaged dataset (names)"),
        ("nonsense://data.txt", "cannot open nonsense://data.txt: "),
        (str(tmp_path), f"{tmp_path} is a directory: give a file with one example per line"),
        (os.devnull, "/dev/null has no text: give another file"),
    ):
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            read_corpus([path])


def lines_of(data: CharDataModule) -> list[str]:
    return [data.corpus.line(i) for i in range(len(data.corpus))]


def test_a_list_and_a_pattern_equal_the_concatenation_and_split_alike(
    write: Callable[..., str], tmp_path: Path
) -> None:
    whole = CharDataModule(write(WORDS * 2, "whole"))
    write(WORDS[100:] + WORDS, "b.txt")
    write(WORDS[:100], "a.txt")
    for path in ([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")], str(tmp_path / "?.txt"), [f"{tmp_path}/*.txt"]):
        data = CharDataModule(path)
        assert lines_of(data) == lines_of(whole)
        assert data.vocabulary == whole.vocabulary
        for name in ("train", "val", "test"):
            assert getattr(data.split, name).tolist() == getattr(whole.split, name).tolist()


def test_matches_are_sorted_and_neither_directories_nor_dotfiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["B.txt", "a10.txt", "a2.txt", "z.txt", "é.txt"]
    for name in random.Random(0).sample([*names, ".hidden.txt", "a.gz"], 7):
        Path(name).write_text("emma\n")
    Path("dir.txt").mkdir()
    Path("dir.txt/deep.txt").write_text("ava\n")
    assert expand("*.txt") == names
    assert expand(["z.txt", "a*.txt"]) == ["z.txt", "a10.txt", "a2.txt"]
    assert expand("**/deep.*") == ["dir.txt/deep.txt"]
    assert expand("*.gz") == ["a.gz"]
    assert expand(plain(f"file://{tmp_path}/z.*")) == [f"{tmp_path}/z.txt"]


def test_an_existing_file_a_url_and_a_packaged_name_are_not_patterns(write: Callable[..., str]) -> None:
    write(["no"], "b1.txt")
    literal = write(["emma"], "b[1].txt")
    assert expand(literal) == [literal]
    for path in ("https://a.org/names.txt?raw=1", "memory://*.txt", "names", "nowhere.txt"):
        assert expand(path) == [path]
    corpus = CharDataModule([literal, "names"]).corpus
    assert corpus.lines_per_file == (1, 32_257)
    assert corpus.line(0) == "emma"


def test_a_file_of_the_users_own_wins_over_a_packaged_name_and_a_directory_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names").mkdir()
    assert (len(CharDataModule("names").corpus), CharDataModule("names").shown_path) == (32_257, "names")
    Path("names").rmdir()
    Path("names").write_text("emma\nava\n")
    assert (len(CharDataModule("names").corpus), CharDataModule("names").shown_path) == (2, "./names")


def test_patterns_without_match_and_empty_lists_are_refused() -> None:
    with pytest.raises(UserError, match=r"^no data file matches 'x\*\.txt': give a pattern of existing files"):
        CharDataModule(["names", "x*.txt"]).corpus  # noqa: B018
    for path in (5, ["a.txt", 5], []):
        with pytest.raises(UserError, match=r"^the data must be a path or a list of paths, got .*: give at"):
            CharDataModule(path).corpus  # type: ignore[arg-type]  # noqa: B018


def test_ready_made_splits_may_have_several_files_each(write: Callable[..., str], tmp_path: Path) -> None:
    for i, lines in enumerate((["a"], ["b", "c"], ["d"], ["e", "f"], ["g"])):
        write(lines, f"{i}.txt")
    train, val, test = f"{tmp_path}/[01].txt", [f"{tmp_path}/2.txt", f"{tmp_path}/3.txt"], f"{tmp_path}/4.txt"
    for data, expected in (
        (CharDataModule(train, val, test), ["abc", "def", "g"]),
        (CharDataModule(train, val), ["abc", "def", ""]),
        (CharDataModule(train, test_path=val), ["abc", "", "def"]),
    ):
        splits = (data.split.train, data.split.val, data.split.test)
        assert ["".join(data.corpus.line(int(i)) for i in lines) for lines in splits] == expected


def test_the_log_names_the_path_as_given_and_the_number_of_files(
    write: Callable[..., str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a, _ = write(["emma"], "a.txt"), write(["ava"], "b.txt")
    with caplog.at_level(logging.INFO, "sequentia"):
        CharDataModule(f"{tmp_path}/*.txt", val_fraction=0, test_fraction=0).setup("fit")
        CharDataModule([a, a], val_fraction=0, test_fraction=0).setup("fit")
    assert caplog.messages[0].startswith(f"data {tmp_path}/*.txt (2 files): 2 lines (2 distinct)")
    assert caplog.messages[1].startswith(f"data {a}, {a} (2 files): 2 lines (1 distinct)")
    assert shown(["data.txt"] * 100) == ("data.txt, " * 30)[:299] + "…"

"""Any file is read exactly as an independent reader in plain Python reads it, or refused with a message."""

import gzip
import os
import re
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sequentia.data import corpus as module
from sequentia.data.corpus import Corpus, read_corpus, usual_limit
from sequentia.errors import UserError

FEW = settings(derandomize=True, max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(derandomize=True, max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PIECES = st.sampled_from(
    [
        *("\n", "\r\n", "\r", "\n\n", " ", "\t", "\u3000", "\u00a0", "\u2028", "\x85", "\x1c", "\x0b", "\ufeff"),
        *("a", "b", ".", "é", "e\u0301", "\u05d0\u05d1", "\u202e", "👩\u200d👧", "\U0010ffff", "\ud7ff", "\ue000"),
        *("\x01", "\x1b[2J", "\x7f"),
    ]
)
TEXTS = st.lists(PIECES | st.characters(exclude_categories=["Cs"]) | st.text("ab\n", max_size=8), max_size=60).map(
    "".join
)
FILES = st.binary(max_size=200) | TEXTS.map(str.encode) | TEXTS.map(lambda text: text.encode("utf-8-sig"))


def oracle(content: bytes, max_length: int) -> tuple[list[str], int, int] | None:
    """Kept lines, and the numbers of blank and long ones; None where the file must be refused."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    if lines[-1] == "":
        lines.pop()
    stripped = [line.strip() for line in lines]
    kept = [line for line in stripped if 0 < len(line) <= max_length]
    if not kept:
        return None
    return kept, sum(not line for line in stripped), sum(len(line) > max_length for line in stripped)


def lines(corpus: Corpus) -> list[str]:
    return [corpus.line(i) for i in range(len(corpus))]


def check(content: bytes, max_length: int, block: int) -> None:
    expected = oracle(content, max_length)
    with tempfile.NamedTemporaryFile(suffix=".txt") as file, pytest.MonkeyPatch.context() as patch:
        file.write(content)
        file.flush()
        patch.setattr(module, "_BLOCK", block)
        if expected is None:
            with pytest.raises(UserError):
                read_corpus([file.name], max_length=max_length)
            return
        corpus = read_corpus([file.name], max_length=max_length)
    kept, blank, long = expected
    assert lines(corpus) == kept
    assert (corpus.blank, corpus.long) == (blank, long)
    assert corpus.vocabulary.characters == "".join(sorted(set("".join(kept))))
    assert corpus.characters == len("".join(kept))
    assert corpus.longest == max(map(len, kept))
    assert corpus.predicted(np.arange(len(corpus))).tolist() == [len(line) + 1 for line in kept]
    assert corpus.ids[corpus.offsets].tolist() == [0] * (len(kept) + 1)
    assert [corpus.vocabulary.decode(corpus.vocabulary.encode(line)) for line in kept] == kept
    # Equal lines, and they alone, have equal hashes.
    assert len(np.unique(corpus.hashes)) == len(set(kept))


@FEW
@given(FILES, st.integers(1, 12), st.sampled_from([1, 2, 3, 7, 64, 1 << 22]))
@example(b"\xef\xbb\xbf", 5, 4)
@example(b"\r", 5, 1)
@example(b"a\r\nb\rc\nd", 5, 2)
@example(b"a\nb", 5, 1)
@example("\x1f\u3000a\x85".encode(), 5, 3)
def test_a_file_is_read_as_plain_python_reads_it(content: bytes, max_length: int, block: int) -> None:
    check(content, max_length, block)


@pytest.mark.slow
@MANY
@given(FILES, st.integers(1, 12), st.sampled_from([1, 2, 3, 7, 64, 1 << 22]))
def test_many_files_are_read_as_plain_python_reads_them(content: bytes, max_length: int, block: int) -> None:
    check(content, max_length, block)


def test_every_white_space_character_of_python_is_trimmed_and_no_other(write: Callable[..., str]) -> None:
    every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000 and chr(code) not in "\r\n"]
    corpus = read_corpus([write("".join(f"{c}x{c}\n" for c in every).encode())])
    assert lines(corpus) == [f"{c}x{c}".strip() for c in every]


def test_a_line_of_a_megabyte_is_left_out_or_kept_as_asked(write: Callable[..., str]) -> None:
    path = write(["emma", "é" * 1_000_000, "ava"])
    assert lines(read_corpus([path])) == ["emma", "ava"]
    assert read_corpus([path]).long == 1
    assert read_corpus([path], max_length=1_000_000).longest == 1_000_000


def test_normal_form_c_makes_composed_and_decomposed_equal(write: Callable[..., str]) -> None:
    path = write(["é", "e\u0301"])
    assert lines(read_corpus([path])) == ["é", "e\u0301"]
    assert lines(read_corpus([path], nfc=True)) == ["é", "é"] == [unicodedata.normalize("NFC", "e\u0301")] * 2


def test_compressed_files_are_read_as_plain_ones(write: Callable[..., str]) -> None:
    path = write(gzip.compress(b"emma\nava\n"), "data.gz")
    assert lines(read_corpus([path])) == ["emma", "ava"]


@pytest.mark.parametrize("cut", [5, 20, -1])
def test_a_damaged_archive_is_refused_by_name(write: Callable[..., str], cut: int) -> None:
    path = write(gzip.compress(b"emma\nava\n" * 50)[:cut], "data.gz")
    with pytest.raises(UserError, match=r"data\.gz"):
        read_corpus([path])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused(write: Callable[..., str], encoding: str) -> None:
    with pytest.raises(UserError, match=r"not UTF-8|NUL"):
        read_corpus([write("emma\nava\n".encode(encoding))])


def test_a_directory_a_missing_file_and_an_empty_device_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"):
        read_corpus([str(tmp_path)])
    with pytest.raises(UserError, match="no data file"):
        read_corpus([str(tmp_path / "nowhere.txt")])
    with pytest.raises(UserError, match="/dev/null is empty"):
        read_corpus([os.devnull])


def test_the_place_of_a_bad_byte_is_told_across_blocks(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(b"emma\nava\n\xffmia\n")
    for block in (1, 4, 1 << 22):
        monkeypatch.setattr(module, "_BLOCK", block)
        with pytest.raises(UserError, match="byte 9 is no character"):
            read_corpus([path])


@pytest.mark.parametrize(
    ("lengths", "limit"),
    [
        *(([9, 9, 9], 256), ([9, 9, 9000], 256), ([256], 256), ([9, 300], 256)),
        *(([257], 512), ([9, 300, 300], 512), ([600, 600, 9000], 1024), ([1025], 256)),
    ],
)
def test_a_line_may_be_as_long_as_half_of_them_are(lengths: list[int], limit: int, write: Callable[..., str]) -> None:
    assert usual_limit(np.array(lengths)) == limit
    path = write(["x" * length for length in lengths])
    if min(lengths) <= limit:
        assert read_corpus([path]).max_length == limit
        assert read_corpus([path]).long == sum(length > limit for length in lengths)
    assert read_corpus([path], max_length=9000).long == 0


def test_a_zip_archive_gives_its_one_file_wherever_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("names")
        archive.writestr("names/names.txt", "emma\nava\n")
        archive.writestr("__MACOSX/names/._names.txt", "x")
    corpus = read_corpus([str(path)])
    assert [corpus.line(i) for i in range(len(corpus))] == ["emma", "ava"]


@pytest.mark.parametrize("number", [0, 2])
def test_a_zip_archive_of_none_or_several_files_is_refused(number: int, tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(number):
            archive.writestr(f"{i}.txt", "emma\nava\n")
    with pytest.raises(UserError, match=rf"data\.zip holds {number} files: give an archive of one"):
        read_corpus([str(path)])

"""Any file is read exactly as by an independent reader in plain Python, or refused with a message."""

import re
import tempfile
import tracemalloc
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sequentia.data import decoding
from sequentia.data.corpus import Corpus, default_max_length, read_corpus
from sequentia.data.hashing import hash_texts
from sequentia.data.reading import Reading
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


RAW = Reading(format="lines")


def oracle(content: bytes, max_length: int) -> tuple[list[str], int, int] | None:
    """The lines to keep, and the number of blank and long lines; None if the file must be refused."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\0" in text or content.startswith(b"PAR1"):  # Parquet, whatever the format
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
        patch.setattr(decoding, "_BLOCK", block)
        patch.setattr(decoding, "_HEAD", 4)  # the longest byte order mark
        if expected is None:
            with pytest.raises(UserError):
                read_corpus([file.name], RAW, max_length=max_length)
            return
        corpus = read_corpus([file.name], RAW, max_length=max_length)
    kept, blank, long = expected
    assert lines(corpus) == kept
    assert (corpus.num_blank, corpus.num_long) == (blank, long)
    assert corpus.vocabulary.characters == "".join(sorted(set("".join(kept))))
    assert corpus.num_characters == len("".join(kept))
    assert corpus.longest == max(map(len, kept))
    assert corpus.num_targets(np.arange(len(corpus))).tolist() == [len(line) + 1 for line in kept]
    assert corpus.ids[corpus.offsets].tolist() == [0] * (len(kept) + 1)
    assert [corpus.vocabulary.decode(corpus.vocabulary.encode(line)) for line in kept] == kept
    # Lines have equal hashes if and only if they are equal.
    assert len(np.unique(corpus.hashes)) == len(set(kept))


@FEW
@given(FILES, st.integers(1, 12), st.sampled_from([1, 2, 3, 7, 64, 1 << 22]))
@example(b"\xef\xbb\xbf", 5, 4)
@example(b"\r", 5, 1)
@example(b"a\r\nb\rc\nd", 5, 2)
@example(b"a\nb", 5, 1)
@example("\x1f\u3000a\x85".encode(), 5, 3)
def test_a_file_is_read_as_by_plain_python(content: bytes, max_length: int, block: int) -> None:
    check(content, max_length, block)


@pytest.mark.slow
@MANY
@given(FILES, st.integers(1, 12), st.sampled_from([1, 2, 3, 7, 64, 1 << 22]))
def test_many_files_are_read_as_by_plain_python(content: bytes, max_length: int, block: int) -> None:
    check(content, max_length, block)


def test_a_line_of_a_million_characters_is_dropped_by_default_and_kept_on_request(write: Callable[..., str]) -> None:
    path = write(["emma", "é" * 1_000_000, "ava"])
    assert lines(read_corpus([path])) == ["emma", "ava"]
    assert read_corpus([path]).num_long == 1
    assert read_corpus([path], max_length=1_000_000).longest == 1_000_000


@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_temporary_memory_does_not_grow_with_the_number_of_lines(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch, end: bytes
) -> None:
    """Only the arrays grow, which are in memory twice when their blocks are joined."""
    monkeypatch.setattr(decoding, "_BLOCK", 1 << 16)
    temporary = []
    for repeats in (1_000, 1_000, 400_000):  # the first call also fills caches
        path = write((b"emma" + end + b"ava" + end) * repeats)
        tracemalloc.start()
        corpus = read_corpus([path])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        temporary.append(peak - 2 * (corpus.ids.nbytes + corpus.offsets.nbytes + corpus.hashes.nbytes))
    assert temporary[2] <= temporary[1]


def test_nfc_makes_composed_and_decomposed_characters_equal(write: Callable[..., str]) -> None:
    path = write(["é", "e\u0301"])
    assert lines(read_corpus([path])) == ["é", "e\u0301"]
    assert lines(read_corpus([path], nfc=True)) == ["é", "é"] == [unicodedata.normalize("NFC", "e\u0301")] * 2


@pytest.mark.parametrize(
    ("lengths", "limit"),
    [
        *(([9, 9, 9], 256), ([9, 9, 9000], 256), ([256], 256), ([9, 300], 256)),
        *(([257], 512), ([9, 300, 300], 512), ([600, 600, 9000], 1024), ([1025], 256)),
        *(([9] * 98 + [300] * 2, 256), ([9] * 97 + [300] * 3, 512), ([300] * 90 + [2000] * 10, 512)),
    ],
)
def test_the_default_max_length_is_256_unless_a_higher_limit_saves_more_than_2_percent_of_the_lines(
    lengths: list[int], limit: int, write: Callable[..., str]
) -> None:
    assert default_max_length(np.array(lengths)) == limit
    path = write(["x" * length for length in lengths])
    if min(lengths) <= limit:
        assert read_corpus([path]).max_length == limit
        assert read_corpus([path]).num_long == sum(length > limit for length in lengths)
    assert read_corpus([path], max_length=9000).num_long == 0


def test_lines_are_counted_per_file(write: Callable[..., str]) -> None:
    corpus = read_corpus(
        [write(["emma", "", "x" * 9, "ava"], "a"), write([" ", "mia", "y" * 9, "z" * 9], "b")], max_length=8
    )
    assert lines(corpus) == ["emma", "ava", "mia"]
    assert corpus.lines_per_file == (2, 1)
    assert (corpus.num_blank, corpus.num_long) == (2, 3)


@pytest.mark.parametrize(("content", "message"), [
    (["", " "], "bad has no text: give another file"),
    (["y" * 11, "", "z" * 10],
     "bad has too few lines: 0 of at most max_length 8 characters, 2 longer; put one example"),
])  # fmt: skip
def test_a_file_without_lines_to_keep_is_refused_whatever_the_other_files_contain(
    content: list[str], message: str, write: Callable[..., str]
) -> None:
    good = write(["emma", "", "x" * 99], "good")
    with pytest.raises(UserError, match=message):
        read_corpus([good, write(content, "bad")], max_length=8)


def test_long_lines_are_cut_on_request_and_keep_the_hash_of_the_whole_line(write: Callable[..., str]) -> None:
    path = write(["emma", "", "abcdefghijk", "abcd"])
    corpus = read_corpus([path], max_length=4, long_lines="split")
    assert lines(corpus) == ["emma", "abcd", "efgh", "ijk", "abcd"]
    assert (corpus.num_blank, corpus.num_long, corpus.lines_per_file) == (1, 1, (5,))
    assert corpus.hashes.tolist() == hash_texts(["emma", "abcd", "efgh", "ijk", "abcd"]).tolist()
    assert corpus.whole_hashes.tolist() == hash_texts(["emma", *["abcdefghijk"] * 3, "abcd"]).tolist()

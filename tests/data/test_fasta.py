"""FASTA is read as records, and other text is not."""

import gzip
import logging
from collections.abc import Callable

import pytest

from sequentia.data import CharDataModule
from sequentia.data.reading import Reading, blocks
from sequentia.errors import UserError
from tests.data.conftest import lines_in

FASTA = b"; comment\r\n>sp|P1 one\r\nMKV LAA\r\n\r\nGIV*\r\n>2\r\nmk-v\r\n>empty\r\n"


def read(path: str, reading: Reading | None = None) -> list[str]:
    return lines_in(blocks(path, reading or Reading()))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (FASTA.replace(b" L", b"L"), ["MKVLAAGIV", "mk-v", ""]),
        (b">a\nACGTACGTAC ACGTACGTAC ACG\n", ["ACGTACGTACACGTACGTACACG"]),
    ],
)
def test_a_record_is_a_line_without_header_breaks_and_final_asterisk(
    write: Callable[..., str], caplog: pytest.LogCaptureFixture, content: bytes, expected: list[str]
) -> None:
    for path in (write(content, "a.txt"), write(gzip.compress(content), "a.gz")):
        caplog.clear()
        with caplog.at_level(logging.INFO, "sequentia"):
            assert read(path) == expected
        assert caplog.messages == [f"{path}: read as FASTA: {len(expected)} records"]
    assert read(path, Reading(format="lines")) == content.decode().splitlines()


@pytest.mark.parametrize(
    "content", [">hello there\n>bye\n", "> how are you\nI am fine\n", "; a comment\nkey\n", "@me\nhi\n+1\nok then\n"]
)
def test_quotations_comments_and_mentions_are_lines(write: Callable[..., str], content: str) -> None:
    assert read(write(content.encode())) == content.splitlines()


def test_a_suffix_or_format_says_that_sequences_have_other_characters(write: Callable[..., str]) -> None:
    content = b">1\nMKV LA1\n>2\nGI\n"
    assert read(write(content, "a.txt")) == content.decode().splitlines()
    assert read(write(content, "a.faa")) == read(write(content), Reading(format="fasta")) == ["MKVLA1", "GI"]


def test_a_column_is_refused(write: Callable[..., str]) -> None:
    with pytest.raises(UserError, match="is read as FASTA, which has no columns: omit column"):
        CharDataModule(write(FASTA.replace(b" L", b"L")), column="1").corpus  # noqa: B018

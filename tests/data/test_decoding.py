"""Lines are the same in every encoding, and what cannot be decoded is refused or left out by its line."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sequentia.data import CharDataModule, decoding
from sequentia.data.reading import Reading, blocks
from sequentia.errors import UserError
from tests.data.conftest import lines_in

WESTERN = ["zoë", "Åsa", "emma"]
EASTERN = ["日本語", "東京", "表す"]  # in Shift JIS, 表 has the byte of a backslash


def read(content: bytes, encoding: str = "utf-8", block: int = 1 << 22, skip_invalid: bool = False) -> list[str]:
    MemoryFileSystem().pipe_file("/f", content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        patch.setattr(decoding, "_HEAD", 4)  # the longest byte order mark
        reading = Reading(format="lines", encoding=encoding, skip_invalid=skip_invalid)
        return lines_in(blocks("memory://f", reading))


@pytest.mark.parametrize("block", [1, 5, 1 << 22])
def test_lines_are_read_in_any_encoding_and_in_any_blocks(block: int) -> None:
    for lines, encodings in (
        (WESTERN, ("latin-1", "cp1252", "utf-7")),
        (EASTERN, ("shift_jis", "gb18030", "utf-16-be")),
    ):
        for encoding in encodings:
            assert read("\r\n".join(lines).encode(encoding), encoding, block) == lines


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_whatever_the_encoding(encoding: str) -> None:
    content = "\n".join(WESTERN + EASTERN).encode(encoding)
    assert read(content) == read(content, "latin-1") == WESTERN + EASTERN


@pytest.mark.parametrize("encoding", ["utf-9", "rot13", "idna"])
def test_only_text_encodings_of_python_are_taken(encoding: str) -> None:
    with pytest.raises(UserError, match=f"^'{encoding}' is not one of Python's text encodings, such as utf-8, latin-1"):
        CharDataModule(encoding=encoding)


@pytest.mark.parametrize("block", [1, 1 << 22])
def test_invalid_lines_are_left_out_on_request_and_counted(block: int, caplog: pytest.LogCaptureFixture) -> None:
    content = b"zo\xc3\xab\nRen\xe9\nx\0\nhalf \xed\xa0\x80\nava\n\xff"
    assert read(content, block=block, skip_invalid=True) == ["zoë", "ava"]
    first = "column 4 of line 2 of memory://f is not UTF-8 text, 'Ren\\xe9'"
    assert caplog.messages == [f"memory://f: invalid lines dropped: 4; the first: {first}"]
    caplog.clear()
    content = "語\nzoë\n".encode("shift_jis", "replace") + b"\x81\xff\nava"
    assert read(content, "shift_jis", block, skip_invalid=True) == ["語", "zo?", "ava"]
    first = "column 1 of line 3 of memory://f is not SHIFT_JIS text, '\\x81\\xff'"
    assert caplog.messages == [f"memory://f: invalid lines dropped: 1; the first: {first}"]


def test_the_text_around_an_invalid_byte_is_shown_shortened_and_a_western_reading_only_if_it_is_text() -> None:
    for content, encoding, message in (
        (
            b"a" * 30 + b"\xe9" + b"b" * 30,
            "utf-8",
            rf"column 31 of line 1 of memory://f is not UTF-8 text, '{'a' * 20}\\xe9{'b' * 19}': give",
        ),
        (b"\xef\xbb\xbfRen\xe9", "utf-8", "restore the file, or leave out such lines with skip_invalid"),
        (b"\x01\xff", "utf-8", "give its encoding, or leave out such lines"),
        (
            b"Ren\xe9",
            "ascii",
            r"^column 4 of line 1 of memory://f is not ASCII text, 'Ren\\xe9': give its enc",
        ),
    ):
        with pytest.raises(UserError, match=message):
            read(content, encoding)

"""Lines are the same in every encoding, and what cannot be decoded is refused or left out by its line."""

import io

import pytest

from sequentia.data import CharDataModule, decoding
from sequentia.data.decoding import line_blocks
from sequentia.errors import UserError

WESTERN = ["zoë", "Åsa", "emma"]
EASTERN = ["日本語", "東京", "表す"]  # in Shift JIS, 表 has the byte of a backslash


def read(content: bytes, encoding: str = "utf-8", block: int = 1 << 22, skip_invalid: bool = False) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_BLOCK", block)
        patch.setattr(decoding, "_HEAD", 4)  # the longest byte order mark
        return [line for lines in line_blocks(io.BytesIO(content), "f", encoding, skip_invalid) for line in lines]


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
    assert caplog.messages == ["f: lines dropped: 4 with invalid bytes or a NUL, the first is line 2"]
    caplog.clear()
    content = "語\nzoë\n".encode("shift_jis", "replace") + b"\x81\xff\nava"
    assert read(content, "shift_jis", block, skip_invalid=True) == ["語", "zo?", "ava"]
    assert caplog.messages == ["f: lines dropped: 1 with invalid bytes or a NUL, the first is line 3"]


def test_the_text_around_an_invalid_byte_is_shown_shortened_and_a_western_reading_only_if_it_is_text() -> None:
    for content, encoding, message in (
        (
            b"a" * 30 + b"\xe9" + b"b" * 30,
            "utf-8",
            rf"column 31 has an invalid byte, '{'a' * 20}\\xe9{'b' * 19}': give",
        ),
        (b"\xef\xbb\xbfRen\xe9", "utf-8", "restore the file, or leave out such lines with skip_invalid"),
        (b"\x01\xff", "utf-8", "give its encoding, or leave out such lines"),
        (
            b"Ren\xe9",
            "ascii",
            r"^f is not ASCII text: line 1, column 4 has an invalid byte, 'Ren\\xe9': give its enc",
        ),
    ):
        with pytest.raises(UserError, match=message):
            read(content, encoding)

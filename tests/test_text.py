"""Printed text cannot move the cursor, forge a line, or change the writing direction."""

import unicodedata

from sequentia.text import printable


def test_control_characters_are_escaped_and_all_others_are_unchanged() -> None:
    bidirectional = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        character = chr(code)
        unsafe = unicodedata.category(character) in ("Cc", "Zl", "Zp") or code in bidirectional
        expected = character.encode("unicode_escape").decode() if unsafe else character
        assert printable(character) == expected, hex(code)


def test_an_escape_sequence_is_printed_as_text() -> None:
    assert printable("a\x1b]0;title\x07b\nc\td") == r"a\x1b]0;title\x07b\nc\td"

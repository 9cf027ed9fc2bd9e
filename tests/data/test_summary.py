"""Invisible characters are named with the number of their lines."""

from collections.abc import Callable

import pytest

from sequentia.data.corpus import read_corpus
from sequentia.data.summary import log_invisible_characters

Write = Callable[..., str]


def test_invisible_characters_are_named_and_their_lines_counted(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(["emma", "\ufeffzoe", "a\u200bv\u200ba", "mia", "\x1a"])
    log_invisible_characters(read_corpus([path]))
    (message,) = caplog.messages
    assert message == (
        "invisible characters in 3 of 5 lines: U+001A CONTROL, U+200B ZERO WIDTH SPACE, "
        "U+FEFF ZERO WIDTH NO-BREAK SPACE; unless they are meant, remove them"
    )


def test_joiners_in_spelling_and_ordinary_text_are_not_named(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    lines = ["می\u200cخواهم", "👩\u200d💻", "a\tb", "new\u00a0york", "東京\u3000都", "e\u0301"]
    log_invisible_characters(read_corpus([write(lines)]))
    assert not caplog.messages

"""Text on a terminal fits it; it cannot move the cursor, forge a line, or change the writing direction."""

import io
import re
import shlex
import unicodedata

import pytest

from sequentia.text import colored, for_terminal, printable


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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


COMMAND = "  resume   sequentia fit --ckpt_path 'checkpoints/my runs/version_0' --trainer.max_steps 5600 --trust mine"


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_terminal_breaks_lines_at_spaces_and_a_command_can_be_copied(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    message = " ".join(f"{'word' * (n % 5 + 1)},{n}" for n in range(40))
    shown = for_terminal(f"{message}\n{COMMAND}", Terminal()).split("\n")
    assert all(len(line) <= columns for line in shown)
    start = next(i for i, line in enumerate(shown) if line.startswith("  resume"))
    assert " ".join(line.strip() for line in shown[:start]) == message
    assert shlex.split("\n".join(shown[start:]).replace("\\\n", "")) == shlex.split(COMMAND)  # as a shell reads it
    assert for_terminal(f"{message}\n{COMMAND}", io.StringIO()) == f"{message}\n{COMMAND}"


def test_color_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert re.fullmatch("\x1b\\[[\\d;]+mbest\x1b\\[0m", colored("best", "green", Terminal()))
    assert colored("best", "green", io.StringIO()) == "best"
    monkeypatch.setenv("NO_COLOR", "1")
    assert colored("best", "green", Terminal()) == "best"

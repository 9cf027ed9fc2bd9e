"""A file that is one JSON array -> its elements, one at a time."""

import json
import re
from collections.abc import Iterator
from typing import IO, Any

from sequentia.data.source import text_blocks
from sequentia.errors import UserError

decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: None)
"""Decodes JSON; a number becomes its text in the file, and NaN, which many programs write for a missing one, null."""

_MAX_ELEMENT = 1 << 22  # characters; an element that is longer is almost certainly an unclosed quote
_MAX_TOKEN = 16  # more characters than in a literal or an escape, which may be cut off at the end of a block
_SPACES = re.compile(r"[ \t\r\n]*")


def json_array(file: IO[bytes], name: str) -> Iterator[tuple[int, Any]]:
    """Read a JSON array element by element, so that memory does not grow with their number.

    Args:
        file: The open file.
        name: Its name in error messages.

    Yields:
        The number of the line in which the element begins, and the element as `decoder` returns it.

    Raises:
        UserError: The file cannot be read, or is not one JSON array.
    """
    text = _Text(file, name)
    if text.peek() != "[":
        if text.peek() == "":
            return
        raise UserError(
            f"{name} is not a JSON array: give one array of objects or strings, or name a file with one object per "
            "line .jsonl"
        )
    text.position += 1
    if text.peek() == "]":
        text.position += 1
    else:
        delimiter = ","
        while delimiter == ",":
            text.peek()
            yield text.line(), text.element()
            delimiter = text.peek()
            if delimiter not in (",", "]"):
                raise text.error("Expecting ',' or ']'", text.position)
            text.position += 1
    if text.peek():
        raise text.error("Extra data after the array", text.position)


class _Text:
    """The text of a file from the current position on, of which only a part is in memory.

    Attributes:
        position: Current position in the part in memory.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.position = 0
        self._blocks = text_blocks(file, name, whole_lines=False)
        self._text = ""
        self._counted = 0  # position up to which line feeds have been counted
        self._line = 1

    def line(self) -> int:
        """The number of the current line."""
        self._line += self._text.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._line

    def error(self, reason: str, position: int) -> UserError:
        """The error for a position at which the text is not valid."""
        line = self.line() + self._text.count("\n", self.position, position)
        return UserError(f"line {line:,} of {self.name} is not valid JSON ({reason}): correct it")

    def peek(self) -> str:
        """Skip whitespace; returns the next character, or an empty string at the end."""
        while True:
            self.position = _SPACES.match(self._text, self.position).end()  # type: ignore[union-attr]
            if self.position < len(self._text):
                return self._text[self.position]
            if not self._read_more():
                return ""

    def element(self) -> Any:
        """Decode the value at the current position, and move behind it."""
        while True:
            failure: UserError | None = None
            value, end = None, self.position
            try:
                value, end = decoder.raw_decode(self._text, self.position)
            except json.JSONDecodeError as error:
                failure = self.error(error.msg, error.pos)
                if error.pos < len(self._text) - _MAX_TOKEN and not error.msg.startswith("Unterminated string"):
                    raise failure from error
            except RecursionError as error:
                raise self.error("nested too deeply", self.position) from error
            # A number that ends with the part in memory ("1", "1.", "1e+") may be the beginning of a longer one.
            rest = self._text[end : end + _MAX_TOKEN]
            if failure is None and (len(rest) == _MAX_TOKEN or rest[:1] not in ("", ".", "e", "E")):
                break
            if len(self._text) - self.position > _MAX_ELEMENT:
                reason = f"an element of more than {_MAX_ELEMENT:,} characters, or an unclosed quote"
                raise self.error(reason, self.position)
            if not self._read_more():
                if failure is not None:
                    raise failure
                break
        self.position = end
        return value

    def _read_more(self) -> bool:
        """Read a block, and drop what is before the current position; returns whether there was one."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self.line()
        self._text = self._text[self.position :] + block
        self.position = self._counted = 0
        return True

"""Bytes -> lines of text, in any encoding of Python's."""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import compress
from typing import IO, TextIO

from sequentia.data.source import readable
from sequentia.errors import UserError

Refuse = Callable[[str], None]
"""Takes the message about an invalid line: raises it as an error, or counts the line, which is then left out."""

_BLOCK = 1 << 22  # characters per read, which bounds the memory of the temporary arrays
_HEAD = 4096  # bytes that tell the kind of file
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, because it begins with UTF-16's mark
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BEGINNINGS = {
    "an HTML or XML document": rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s|\?xml\s|html[\s>]|svg[\s>]|head[\s>]|body[\s>])",
    "a PDF or RTF document": rb"%PDF-|\{\\rtf",
    "an image": rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP",
    "a Python pickle or a tar archive": rb"\x80[\x02-\x05]|.{257}ustar",
    "a pointer of Git LFS, and `git lfs pull` fetches the file": rb"version https://git-lfs\.github\.com/spec/",
    "a pointer of git-annex, and `git annex get` fetches the file": rb"/annex/objects/",
    "a pointer of DVC, and `dvc pull` fetches the file": rb"(?:(?:md5|frozen|desc): [^\n]*\n)*outs:\n- (?:md5|hash): ",
    "FASTQ, which has to be converted to FASTA": rb"@[^\n]*\n[ACGTUN]+\r?\n\+",
}
"""Kind of file that is not lines of text -> how it begins."""

_ERRORS = "surrogateescape"  # decodes an invalid byte as U+DC00 + byte, so that its line is known
_INVALID = re.compile("[\0\ud800-\udfff]")
_AROUND = 20  # characters shown on either side of an invalid byte


def check_encoding(encoding: str) -> None:
    """Refuse a name that is not one of Python's text encodings.

    Raises:
        UserError: There is no such text encoding, or it cannot be decoded in blocks.
    """
    try:
        text = "a".encode(encoding)
        codecs.getincrementaldecoder(encoding)(_ERRORS).decode(text)
    except (LookupError, ValueError) as error:  # unknown, not of text, or unable to mark invalid bytes
        raise UserError(
            f"{encoding!r} is not one of Python's text encodings, such as utf-8, latin-1 or gb18030"
        ) from error


def line_blocks(file: IO[bytes], name: str, encoding: str, refuse: Refuse) -> Iterator[list[str]]:
    r"""Read the lines of an open text file, without their ends, in blocks that bound the memory.

    Lines end in `\n`, `\r\n` or `\r`, and the last line may have no end. A byte order mark is dropped; it tells UTF-8,
    UTF-16 and UTF-32 whatever `encoding` is. Lines with invalid bytes or a NUL are refused.

    Raises:
        UserError: The file cannot be read, or is not text.
    """
    with readable(name):
        head = file.read(_HEAD)
        file.seek(0)
    _check_is_text(head, name)
    encoding = next((codec for mark, codec in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), encoding)
    number = 1  # of the first line of a block
    with _text(file, encoding) as stream:
        while True:
            with readable(name):
                text = stream.read(_BLOCK) + stream.readline()
            if not text:
                return
            lines = text.removesuffix("\n").split("\n")
            valid = [True] if _is_valid(text) else list(map(_is_valid, lines))
            for i, is_valid in enumerate(valid):
                if not is_valid:
                    refuse(_describe(lines[i], f"line {number + i:,} of {name}", encoding))
            yield lines if all(valid) else list(compress(lines, valid))
            number += len(lines)


@contextmanager
def _text(file: IO[bytes], encoding: str) -> Iterator[TextIO]:
    """A file as text, which is not closed with it: it may be stdin."""
    stream = io.TextIOWrapper(file, encoding, _ERRORS)
    try:
        yield stream
    finally:
        with suppress(ValueError):  # after an error, the file may have been closed already
            stream.detach()


def _check_is_text(head: bytes, name: str) -> None:
    """Refuse a file that begins like one of another kind, which the message names."""
    # In UTF-16, ASCII characters have a NUL beside them.
    ascii_text = re.sub(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)", b"", head).replace(b"\0", b"")
    for kind, pattern in _BEGINNINGS.items():
        if any(re.match(pattern, text, re.DOTALL | re.IGNORECASE) for text in (head, ascii_text)):
            raise UserError(f"{name} is not lines of text: it is {kind}; give a text file with one example per line")


def _is_valid(text: str) -> bool:
    """Whether the text has neither marks of invalid bytes nor NUL characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _describe(line: str, name: str, encoding: str) -> str:
    """The message about the first invalid byte or NUL in a line, which `name` names."""
    match = _INVALID.search(line)
    assert match is not None
    at = match.start()
    where = f"column {at + 1:,} of {name}"
    if match[0] == "\0":
        return (
            f"{where} is a NUL, as in binary data, or in UTF-16 without a byte order mark: give its encoding, such as "
            "utf-16-le or utf-16-be"
        )
    around = line[max(0, at - _AROUND) : at + _AROUND]
    shown = _INVALID.sub(lambda mark: f"\\x{ord(mark[0]) & 0xFF:02x}", around)
    western = _INVALID.sub(lambda mark: bytes([ord(mark[0]) & 0xFF]).decode("cp1252", "replace"), around)
    hint = f" (cp1252 reads {western!r})" if western.isprintable() and _INVALID.sub("", around).isascii() else ""
    # A byte order mark overrides the encoding that the user gives.
    remedy = "restore the file" if encoding in _BYTE_ORDER_MARKS.values() else f"give its encoding{hint}"
    return f"{where} is not {encoding.removesuffix('-sig').upper()} text, '{shown}': {remedy}"

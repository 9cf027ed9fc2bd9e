"""Bytes -> lines of text, in any encoding of Python's."""

import codecs
import io
import logging
import re
from collections.abc import Iterator
from itertools import compress
from typing import IO

from lightning.pytorch.utilities import rank_zero_only

from sequentia.data.source import reason
from sequentia.errors import UserError

log = logging.getLogger(__name__)

_BLOCK = 1 << 22  # bytes per read, which bounds the memory of the temporary arrays
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
    "a PDF document": rb"%PDF-",
    "an RTF document": rb"\{\\rtf",
    "an image": rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP",
    "a Python pickle": rb"\x80[\x02-\x05]",
    "a tar archive": rb".{257}ustar",
    "a pointer of Git LFS, and `git lfs pull` fetches the file": rb"version https://git-lfs\.github\.com/spec/",
    "a pointer of git-annex, and `git annex get` fetches the file": rb"/annex/objects/",
    "a pointer of DVC, and `dvc pull` fetches the file": rb"(?:(?:md5|frozen|desc): [^\n]*\n)*outs:\n- (?:md5|hash): ",
    "FASTQ, which has to be converted to FASTA": rb"@[^\n]*\n[ACGTUN]+\r?\n\+",
}
"""Kind of file that is not lines of text -> how it begins."""

_INVALID = re.compile("[\0\ud800-\udfff]")
_MARKED = re.compile("[\udc00-\udcff]")
_AROUND = 20  # characters shown on either side of an invalid byte


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Decode each invalid byte as the lone surrogate U+DC00 + byte, so that its line is known."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("sequentia.mark", _mark)


def check_encoding(encoding: str) -> None:
    """Refuse a name that is not one of Python's text encodings.

    Raises:
        UserError: There is no such text encoding, or it cannot be decoded in blocks.
    """
    try:
        text = "a".encode(encoding)
        codecs.getincrementaldecoder(encoding)("sequentia.mark").decode(text)
    except (LookupError, ValueError) as error:  # unknown, not of text, or unable to mark invalid bytes
        raise UserError(
            f"{encoding!r} is not one of Python's text encodings, such as utf-8, latin-1 or gb18030"
        ) from error


def line_blocks(file: IO[bytes], name: str, encoding: str = "utf-8", skip_invalid: bool = False) -> Iterator[list[str]]:
    r"""Read the lines of an open text file, without their ends, in blocks that bound the memory.

    Lines end in `\n`, `\r\n` or `\r`, and the last line may have no end. A byte order mark is dropped; it tells UTF-8,
    UTF-16 and UTF-32 whatever `encoding` is.

    Args:
        file: The open file, at its start.
        name: Its name in messages.
        encoding: One of Python's text encodings.
        skip_invalid: Whether to leave out lines with invalid bytes or a NUL, and log how many.

    Raises:
        UserError: The file cannot be read, is not text, or has an invalid byte or a NUL.
    """
    head = _read(file, _HEAD, name)
    _check_is_text(head, name)
    encoding = next((codec for mark, codec in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), encoding)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("sequentia.mark"), translate=True)
    data = head + _read(file, max(0, _BLOCK - len(head)), name)
    rest, number = "", 1  # the text of a line whose end has not been read, and the number of that line
    skipped: list[int] = []  # numbers of lines
    while True:
        try:
            text = rest + decoder.decode(data, final=not data)
        except UnicodeError as error:  # a codec that does not let us mark invalid bytes
            raise UserError(f"{name} is not {encoding} text ({reason(error)}): give its encoding") from error
        # Whole lines, whether there are any, and the rest; at the end of the file all is whole.
        text, end, rest = text.rpartition("\n") if data else (text.removesuffix("\n"), text, "")
        if end:
            lines = text.split("\n")
            if _is_valid(text):
                yield lines
            elif skip_invalid:
                valid = [_is_valid(line) for line in lines]
                yield list(compress(lines, valid))
                skipped += [i for i, is_valid in enumerate(valid, start=number) if not is_valid]
            else:
                raise UserError(_describe(text, name, number, encoding))
            number += len(lines)
        if not data:
            break
        data = _read(file, _BLOCK, name)
    if skipped:
        rank_zero_only(log.warning)(
            f"{name}: lines dropped: {len(skipped):,} with invalid bytes or a NUL, the first is line {skipped[0]:,}"
        )


def _check_is_text(head: bytes, name: str) -> None:
    """Refuse a file that begins like one of another kind, which the message names."""
    # In UTF-16, ASCII characters have a NUL beside them.
    ascii_text = re.sub(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)", b"", head).replace(b"\0", b"")
    for kind, pattern in _BEGINNINGS.items():
        if any(re.match(pattern, text, re.DOTALL | re.IGNORECASE) for text in (head, ascii_text)):
            raise UserError(f"{name} is not lines of text: it is {kind}; give a text file with one example per line")


def _read(file: IO[bytes], size: int, name: str) -> bytes:
    try:
        return file.read(size)
    except Exception as error:  # a damaged archive, a broken connection
        raise UserError(f"cannot read {name}: {reason(error)}") from error


def _is_valid(text: str) -> bool:
    """Whether the text has neither marks of invalid bytes nor NUL characters."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _describe(text: str, name: str, number: int, encoding: str) -> str:
    """The message about the first invalid byte or NUL in a text.

    Args:
        text: Whole lines.
        name: The name of the file.
        number: The number of the first line.
        encoding: The encoding of the file.
    """
    match = _INVALID.search(text)
    assert match is not None
    start, at = text.rfind("\n", 0, match.start()) + 1, match.start()
    where = f"line {number + text.count(chr(10), 0, at):,}, column {at - start + 1:,}"
    skip = "leave out such lines with skip_invalid"
    if match[0] == "\0":
        guess = "utf-16-be" if text.startswith("\0") else "utf-16-le"
        return (
            f"{name} is not a text file: {where} has a NUL (binary data, or UTF-16 without a byte order mark): "
            f"give its encoding, such as {guess}, or {skip}"
        )
    around = text[max(start, at - _AROUND) : at + _AROUND].partition("\n")[0]
    shown = _MARKED.sub(lambda mark: f"\\x{ord(mark[0]) - 0xDC00:02x}", around).encode("utf-8", "replace").decode()
    western = around.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    hint = f" (cp1252 reads {western!r})" if western.isprintable() and _MARKED.sub("", around).isascii() else ""
    # A byte order mark overrides the encoding that the user gives.
    remedy = "restore the file" if encoding in _BYTE_ORDER_MARKS.values() else f"give its encoding{hint}"
    return (
        f"{name} is not {encoding.removesuffix('-sig').upper()} text: {where} has an invalid byte, '{shown}': "
        f"{remedy}, or {skip}"
    )

"""Files that are plainly not lines of text, by how they begin."""

import re

from sequentia.errors import UserError

_BEGINNINGS = {
    "an HTML or XML document": rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s|\?xml\s|html[\s>]|svg[\s>]|head[\s>]|body[\s>])",
    "a PDF document": rb"%PDF-",
    "an RTF document": rb"\{\\rtf",
    "an Office document": rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "an image": rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|II\*\0|MM\0\*",
    "a Python pickle": rb"\x80[\x02-\x05]",
    "a NumPy array": rb"\x93NUMPY",
    "an SQLite database": rb"SQLite format 3\0",
    "a tar archive": rb".{257}ustar",
    "a 7z archive": rb"7z\xbc\xaf\x27\x1c",
    "a RAR archive": rb"Rar!\x1a\x07",
    "a pointer of Git LFS, and `git lfs pull` fetches the file": rb"version https://git-lfs\.github\.com/spec/",
    "a pointer of git-annex, and `git annex get` fetches the file": rb"/annex/objects/",
    "a pointer of DVC, and `dvc pull` fetches the file": rb"(?:(?:md5|frozen|desc): [^\n]*\n)*outs:\n- (?:md5|hash): ",
}
_KINDS = {kind: re.compile(pattern, re.DOTALL | re.IGNORECASE) for kind, pattern in _BEGINNINGS.items()}

_MEMBERS = {
    "an Office document": re.compile(r"\[Content_Types\]\.xml|mimetype"),
    "a PyTorch checkpoint": re.compile(r"(?:.*/)?data\.pkl"),
    "a NumPy archive": re.compile(r".*\.npy"),
}
"""Kind of zip archive -> the name of a file in it."""


def check_is_text(head: bytes, name: str) -> None:
    """Refuse a file that is not lines of text.

    Args:
        head: Its first bytes, decompressed.
        name: Its name in the message.

    Raises:
        UserError: It is a file of another kind, which the message names.
    """
    # In UTF-16, ASCII characters have a NUL beside them.
    ascii_text = re.sub(rb"\A(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)", b"", head).replace(b"\0", b"")
    for kind, pattern in _KINDS.items():
        if pattern.match(head) or pattern.match(ascii_text):
            raise UserError(f"{name} is not lines of text: it is {kind}; give a text file with one example per line")


def kind_of_archive(members: list[str]) -> str:
    """What a zip archive with these files is."""
    kinds = (kind for kind, name in _MEMBERS.items() if any(map(name.fullmatch, members)))
    return next(kinds, f"an archive of {len(members):,} files")

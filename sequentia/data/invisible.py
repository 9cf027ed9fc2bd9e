"""Characters that nobody sees, such as a byte order mark in the middle of a file, and the lines that have them."""

import logging
import unicodedata

import numpy as np

from sequentia.data.corpus import Corpus
from sequentia.text import shorten

_SPELLING = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}
"""Joiners and tags, which belong to the spelling of Persian, of Indic languages and of emoji."""

log = logging.getLogger(__name__)


def is_invisible(character: str) -> bool:
    r"""Whether a character is a control or a mark without a glyph; tabs and spaces are not.

    Example:
        >>> [is_invisible(character) for character in "\ufeff\u200b\x1a\t\u00a0"]
        [True, True, True, False, False]
    """
    return character != "\t" and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def log_invisible_characters(corpus: Corpus) -> None:
    """Name the invisible characters of a corpus and count their lines; a warning unless they belong to the spelling."""
    found = [character for character in corpus.vocabulary.characters if is_invisible(character)]
    if not found:
        return
    positions = np.flatnonzero(np.isin(corpus.ids, corpus.vocabulary.encode("".join(found))))
    lines = len(np.unique(np.searchsorted(corpus.offsets, positions)))
    names = shorten(", ".join(f"U+{ord(each):04X} {unicodedata.name(each, 'CONTROL')}" for each in found), 200)
    level = logging.INFO if _SPELLING.issuperset(found) else logging.WARNING
    log.log(
        level,
        f"invisible characters in {lines:,} of {len(corpus):,} lines: {names}; unless they are meant, remove them",
    )

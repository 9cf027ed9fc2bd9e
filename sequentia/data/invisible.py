"""Characters that nobody sees, such as a byte order mark in the middle of a file, and the lines that have them."""

import logging
import unicodedata

import numpy as np

from sequentia.data.corpus import Corpus
from sequentia.text import shorten

_SPELLING = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}
"""Joiners and tags, which belong to the spelling of Persian, of Indic languages and of emoji."""

log = logging.getLogger(__name__)


def log_invisible_characters(corpus: Corpus) -> None:
    """Name the invisible characters of a corpus and count their lines; a warning unless they belong to the spelling.

    They are controls and marks without a glyph; tabs and spaces are not among them.
    """
    kinds = ("Cc", "Cf", "Zl", "Zp")
    found = [each for each in corpus.vocabulary.characters if each != "\t" and unicodedata.category(each) in kinds]
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

"""What the log says about the data: its size, lines that were left out, invisible characters, and shared lines."""

import logging
import unicodedata

import numpy as np

from sequentia.data.corpus import FEW, Corpus
from sequentia.data.hashing import distinct
from sequentia.data.membership import Membership
from sequentia.data.split import Split
from sequentia.text import shorten

_SPELLING = {"\t", "\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}
"""Tabs; joiners and tags, which belong to the spelling of Persian, of Indic languages and of emoji."""

log = logging.getLogger(__name__)


def log_summary(name: str, corpus: Corpus, split: Split, membership: Membership, batch_size: int) -> None:
    """Log the size of the data called `name`, and what is unusual about its lines."""
    num_distinct = num_texts = len(distinct(np.concatenate(list(membership.distinct.values()))))
    if corpus.vocabulary.labels:  # the same text with another label is another example
        num_distinct = len(distinct(corpus.example_hashes))
    sizes = f"train {len(split.train):,}, val {len(split.val):,}, test {len(split.test):,}"
    labels = f", {num_labels:,} labels" if (num_labels := len(corpus.vocabulary.labels)) else ""
    log.info(
        f"data {name}: {len(corpus):,} lines ({num_distinct:,} distinct), {corpus.num_characters:,} characters, "
        f"longest line {corpus.longest}, vocabulary {len(corpus.vocabulary)} with the boundary{labels}; {sizes}; "
        f"batches of {batch_size:,} lines"
    )
    _log_dropped_lines(corpus)
    log_invisible_characters(corpus)
    if shared := sum(map(len, membership.distinct.values())) - num_texts:
        log.warning(f"{shared:,} distinct lines are in an earlier split, too: the metrics are too optimistic")


def _log_dropped_lines(corpus: Corpus) -> None:
    """Count the lines that were dropped or cut; a warning if more than a few were dropped for their length."""
    blank = f"lines dropped: {corpus.num_blank:,} blank"
    long = f"{corpus.num_long:,} longer than max_length {corpus.max_length}"
    lost = corpus.num_long / (len(corpus) + corpus.num_long)
    if num_windows := int((corpus.hashes != corpus.whole_hashes).sum()):
        log.info(f"{blank}; {long} are cut into {num_windows:,} lines")
    elif lost > FEW:
        remedy = "raise max_length, or cut them with long_lines split"
        log.warning(f"{blank}, {long} ({lost:.0%} of the lines): {remedy}")
    elif corpus.num_blank or corpus.num_long:
        log.info(f"{blank}, {long}")


def log_invisible_characters(corpus: Corpus) -> None:
    """Name the controls and marks without a glyph, such as a byte order mark between lines, and count their lines."""
    characters = (each for each in corpus.vocabulary.characters if each not in _SPELLING)
    found = [each for each in characters if unicodedata.category(each) in ("Cc", "Cf", "Zl", "Zp")]
    if found:
        positions = np.flatnonzero(np.isin(corpus.ids, corpus.vocabulary.encode("".join(found))))
        lines = len(np.unique(np.searchsorted(corpus.offsets, positions)))
        names = shorten(", ".join(f"U+{ord(each):04X} {unicodedata.name(each, 'CONTROL')}" for each in found), 200)
        log.warning(
            f"invisible characters in {lines:,} of {len(corpus):,} lines: {names}; unless they are meant, remove them"
        )

"""Which texts are lines of the data, or nearly so: looked up among sorted hashes, without a Python string per line."""

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from sequentia.data.corpus import Corpus
from sequentia.data.hashing import contains, distinct, hash_texts
from sequentia.data.split import Split

_BATCH = 4096  # edited texts that are looked up together, which bounds the memory


class Membership:
    """Looks up texts in the splits of a corpus.

    Args:
        corpus: The corpus.
        split: Its training, validation and test lines.
    """

    def __init__(self, corpus: Corpus, split: Split) -> None:
        self._corpus, self._split = corpus, split

    @cached_property
    def distinct(self) -> dict[str, NDArray[np.uint64]]:
        """The distinct hashes of each split, in ascending order."""
        splits = {"train": self._split.train, "val": self._split.val, "test": self._split.test}
        return {name: distinct(self._corpus.hashes[lines]) for name, lines in splits.items()}

    def splits_of(self, texts: list[str]) -> list[str]:
        """The split in which each text is a line.

        Args:
            texts: Any texts.

        Returns:
            "train", "val", "test" or "new" for each text; the first of these that applies.
        """
        found = np.full(len(texts), "new", dtype="<U5")
        nonempty = [i for i, text in enumerate(texts) if text]
        hashes = hash_texts([texts[i] for i in nonempty])
        for name in ("test", "val", "train"):
            found[np.array(nonempty, int)[contains(self.distinct[name], hashes)]] = name
        return found.tolist()

    def near_training(self, texts: list[str]) -> list[bool]:
        """Whether a training line is within one edit of each text: equal, or one character deleted, replaced or added.

        All edited texts are looked up, about 2nV for a text of n characters and a vocabulary of V, so the time grows
        with n^2 V: 0.03 s for 200 names, 0.4 s for 200 lines of 50 characters.

        Args:
            texts: Any texts.
        """
        return [self._is_near(text) for text in texts]

    def _is_near(self, text: str) -> bool:
        edited = one_edit_away(text, self._corpus.vocabulary.characters)
        while batch := list(islice(edited, _BATCH)):
            if contains(self.distinct["train"], hash_texts(batch)).any():
                return True
        return False


def one_edit_away(text: str, characters: str) -> Iterator[str]:
    """The texts that differ from `text` by one of `characters` inserted or put in place of another, or by a deletion.

    An empty text is left out, and others may come more than once.
    """
    for i in range(len(text) + 1):
        before, after = text[:i], text[i:]
        if len(text) > 1 and after:
            yield before + after[1:]
        for character in characters:
            yield before + character + after
            if after:
                yield before + character + after[1:]

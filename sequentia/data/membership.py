"""Which texts are lines of the data, or nearly so: looked up among sorted hashes, without a Python string per line."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sequentia.data.corpus import Corpus
from sequentia.data.hashing import contains, distinct, hash_texts, one_edit_hashes
from sequentia.data.split import Split
from sequentia.vocabulary import code_points

_EDITS = 2**22  # edited texts that are looked up together, which bounds the memory


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

    def num_edits(self, text: str) -> int:
        """Number of edited texts that `near_training` looks up for a text, about twice its length times V."""
        return len(text) + (2 * len(text) + 1) * (len(self._corpus.vocabulary) - 1)

    def near_training(self, texts: list[str]) -> list[bool]:
        """Whether a training line is within one edit of each text: equal, or one character deleted, replaced or added.

        All edited texts are looked up: O(n V log L) for a text of n characters and L training lines.

        Args:
            texts: Any texts.
        """
        alphabet = code_points(self._corpus.vocabulary.characters)
        near = np.zeros(len(texts), bool)
        block = np.cumsum([self.num_edits(text) for text in texts], dtype=np.int64) // _EDITS
        for block_of_texts in np.split(np.arange(len(texts)), np.flatnonzero(np.diff(block)) + 1):
            some = [texts[i] for i in block_of_texts]
            lengths = np.array([len(text) for text in some], np.int64)
            hashes, index = one_edit_hashes(code_points("".join(some)), lengths, alphabet)
            near[block_of_texts[index[contains(self.distinct["train"], hashes)]]] = True
        return near.tolist()

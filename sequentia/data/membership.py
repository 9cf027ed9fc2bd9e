"""Whether texts are lines of the data, or nearly so: a search in sorted hashes, without a Python string per line."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sequentia.data.corpus import Corpus
from sequentia.data.hashing import contains, distinct, hash_texts
from sequentia.data.split import Split


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
        """Whether a training line is within one edit of each text: equal, or a character deleted, replaced or added.

        All edited texts are looked up, about 2 n V for a text of n characters and a vocabulary of V.
        """
        characters = self._corpus.vocabulary.characters
        near = []
        for text in texts:
            changed = {text[:i] + c + text[i + k :] for i in range(len(text) + 1) for c in characters for k in (0, 1)}
            edited = changed | {text[:i] + text[i + 1 :] for i in range(len(text))} - {""}
            near.append(bool(contains(self.distinct["train"], hash_texts(list(edited))).any()))
        return near

"""Text <-> ids."""

import unicodedata
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sequentia.errors import UserError
from sequentia.text import shorten

BOUNDARY = 0
"""Id of the boundary token, which both starts and ends a line."""

CODE_POINTS = 0x110000
"""Number of Unicode code points: the size of a table indexed by code point."""


def smallest_unsigned(largest: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned integer type that holds `largest`."""
    return cast("np.dtype[np.unsignedinteger]", np.min_scalar_type(largest))


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of `text`, shape `(len(text),)`.

    Raises:
        UserError: `text` contains a lone surrogate, which is not a character.
    """
    try:
        return np.frombuffer(text.encode("utf-32-le"), np.uint32)
    except UnicodeEncodeError as error:
        raise UserError(f"U+{ord(text[error.start]):04X} is half a surrogate pair, not a character") from error


class Vocabulary:
    """The characters of a dataset, sorted by code point, with ids `1..V-1`; id 0 is the boundary token.

    Args:
        characters: Each character once, in ascending order of code point.

    Raises:
        UserError: `characters` is empty or not ascending, or contains a lone surrogate.

    Example:
        >>> vocabulary = Vocabulary("aemn")
        >>> len(vocabulary)
        5
        >>> vocabulary.encode("emma").tolist()
        [2, 3, 3, 1]
        >>> vocabulary.decode([2, 3, 3, 1])
        'emma'
    """

    def __init__(self, characters: str) -> None:
        codes = code_points(characters)
        if len(codes) == 0:
            raise UserError("a vocabulary needs at least one character")
        if np.any(codes[1:] <= codes[:-1]):
            raise UserError("the characters of a vocabulary must be distinct and sorted by code point")
        self.characters = characters
        self._codes = codes
        self._known = frozenset(characters)

    def __len__(self) -> int:
        """`V`: the number of characters plus one for the boundary token."""
        return len(self.characters) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and other.characters == self.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({self.characters!r})"

    def lookup(self, codes: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Ids of code points; -1 for a code point that is not in the vocabulary.

        Args:
            codes: Shape `(N,)`.

        Returns:
            Shape `(N,)`.
        """
        index = np.searchsorted(self._codes, codes)
        found = self._codes[np.minimum(index, len(self._codes) - 1)] == codes
        return np.where(found, index + 1, -1)

    def normalize(self, text: str) -> str:
        """Normalize `text` to Unicode NFC if it has unknown characters and its NFC form has none.

        The training data may have been normalized, and the same text may be typed or stored in another form.
        """
        if self._known.issuperset(text):
            return text
        composed = unicodedata.normalize("NFC", text)
        return composed if self._known.issuperset(composed) else text

    def encode(self, text: str) -> NDArray[np.int64]:
        """Ids of the characters of `text`, shape `(len(text),)`, without boundary tokens.

        Raises:
            UserError: A character of `text` is not in the vocabulary.
        """
        ids = self.lookup(code_points(text))
        unknown = np.flatnonzero(ids < 0)
        if len(unknown):
            raise UserError(
                f"the model does not know the character {text[unknown[0]]!r} in {text!r}: "
                f"use characters of its vocabulary, {shorten(self.characters)!r}"
            )
        return ids

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The text of `ids`, which must not contain the boundary token.

        Args:
            ids: Shape `(N,)`, each in `1..V-1`.

        Raises:
            ValueError: An id is out of range.
        """
        array = np.asarray(ids, dtype=np.int64)
        if len(array) and (array.min() < 1 or array.max() >= len(self)):
            raise ValueError(f"ids must be in 1..{len(self) - 1}, got {array.min()}..{array.max()}")
        return self._codes[array - 1].astype("<u4").tobytes().decode("utf-32-le")

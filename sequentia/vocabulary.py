"""Text <-> ids."""

import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from sequentia.errors import UserError
from sequentia.text import shorten, similar

BOUNDARY = 0
"""Id of the boundary token, which both starts and ends a line."""

Plain = str | dict[str, Any]
"""A vocabulary as a plain value: its characters, or a mapping with `characters` and `labels` if it has labels."""

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

    A line of a class (a country, a gender) starts with the token of its label in place of the boundary. These tokens,
    `V..V+K-1`, are read and never predicted.

    Args:
        characters: Each character once, in ascending order of code point.
        labels: Number of training lines with each of the K labels; the empty label counts the lines without one.

    Raises:
        UserError: `characters` is empty or not ascending, or contains a lone surrogate.

    Attributes:
        characters: The characters.
        labels: The labels in the order of their tokens.
        label_counts: Number of training lines without a label, and with each of the labels; `(K + 1,)`.

    Example:
        >>> vocabulary = Vocabulary("aemn")
        >>> len(vocabulary)
        5
        >>> vocabulary.encode("emma").tolist()
        [2, 3, 3, 1]
        >>> vocabulary.decode([2, 3, 3, 1])
        'emma'
        >>> Vocabulary("aemn", {"F": 2, "M": 1}).start("M")  # the labels F and M have the tokens 5 and 6
        6
    """

    def __init__(self, characters: str, labels: Mapping[str, int] = MappingProxyType({})) -> None:
        codes = code_points(characters)
        if len(codes) == 0:
            raise UserError("a vocabulary needs at least one character")
        if np.any(codes[1:] <= codes[:-1]):
            raise UserError("the characters of a vocabulary must be distinct and sorted by code point")
        self.characters = characters
        self._codes = codes
        self._known = frozenset(characters)
        self.labels = tuple(sorted(filter(None, labels)))
        self._starts = {"": BOUNDARY} | {label: len(self) + k for k, label in enumerate(self.labels)}
        self.label_counts = np.array([labels.get(label, 0) for label in ("", *self.labels)], np.int64)

    @classmethod
    def of(cls, plain: Plain) -> Self:
        """The vocabulary that a plain value stands for: see `plain`.

        Raises:
            UserError: See `Vocabulary`.
        """
        return cls(plain) if isinstance(plain, str) else cls(plain["characters"], plain["labels"])

    @property
    def plain(self) -> Plain:
        """The vocabulary as a plain value, which checkpoints record."""
        if not self.labels:
            return self.characters
        counts = zip(("", *self.labels), self.label_counts.tolist(), strict=True)
        return {"characters": self.characters, "labels": {label: count for label, count in counts if label or count}}

    def __len__(self) -> int:
        """`V`: the number of characters plus one for the boundary token."""
        return len(self.characters) + 1

    @property
    def num_tokens(self) -> int:
        """`V + K`: the number of tokens that a model reads, the labels' included."""
        return len(self) + len(self.labels)

    def __eq__(self, other: object) -> bool:
        """Whether both have the same tokens, however often the labels occur."""
        return isinstance(other, Vocabulary) and (other.characters, other.labels) == (self.characters, self.labels)

    def __hash__(self) -> int:
        return hash((self.characters, self.labels))

    def __repr__(self) -> str:
        return f"Vocabulary({self.plain!r})"

    def start(self, label: str) -> int:
        """The token that a line with this label starts with: the boundary for the empty label.

        Raises:
            UserError: No line has the label.
        """
        if label not in self._starts:
            known = similar(label, self.labels) or self.labels
            has = f"no label {label!r}: use {shorten(', '.join(known), 100)}" if known else "no labels: omit label"
            raise UserError(f"the model has {has}")
        return self._starts[label]

    def starts(self, label: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The S tokens that lines start with, and their relative frequencies among the training lines.

        Args:
            label: The label of the lines; by default all labels that training lines have.

        Returns:
            Two arrays `(S,)`.

        Raises:
            UserError: No line has the label.

        Example:
            >>> Vocabulary("aemn", {"": 1, "F": 2, "M": 1}).starts()
            (array([0, 5, 6]), array([0.25, 0.5 , 0.25]))
        """
        if label is not None or not self.labels:
            return np.array([self.start(label or "")]), np.ones(1)
        tokens = np.array([BOUNDARY, *range(len(self), self.num_tokens)])
        occurs = self.label_counts > 0
        return tokens[occurs], self.label_counts[occurs] / self.label_counts.sum()

    def label(self, start: int) -> str:
        """The label of the lines that start with this token; empty for the boundary."""
        return self.labels[start - len(self)] if start != BOUNDARY else ""

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

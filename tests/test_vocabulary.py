"""Ids are the ranks of the characters by code point; encoding and decoding are inverse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequentia.errors import UserError
from sequentia.vocabulary import Vocabulary

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(derandomize=True, deadline=None)
@given(TEXT)
def test_decode_inverts_encode(text: str) -> None:
    characters = "".join(sorted(set(text)))
    vocabulary = Vocabulary(characters)
    ids = vocabulary.encode(text)
    assert ids.tolist() == [1 + characters.index(c) for c in text]
    assert vocabulary.decode(ids) == text
    assert len(vocabulary) == len(set(text)) + 1


@settings(derandomize=True, deadline=None)
@given(TEXT, TEXT)
def test_the_error_names_the_first_unknown_character(known: str, text: str) -> None:
    vocabulary = Vocabulary("".join(sorted(set(known))))
    unknown = [c for c in text if c not in known]
    if unknown:
        with pytest.raises(UserError, match="the model does not know the character") as caught:
            vocabulary.encode(text)
        assert f"does not know the character {unknown[0]!r} in {text!r}" in str(caught.value)
    else:
        assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize(
    ("characters", "message"),
    [
        ("", "at least one character"),
        ("ba", "distinct and sorted"),
        ("aa", "distinct and sorted"),
        ("\ud800", r"U\+D800 is half a surrogate pair"),
    ],
)
def test_empty_unsorted_repeated_and_invalid_characters_are_refused(characters: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Vocabulary(characters)


@pytest.mark.parametrize("ids", [[0], [4], [-1]])
def test_ids_that_are_not_those_of_a_character_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"ids must be in 1\.\.3"):
        Vocabulary("abc").decode(ids)


def test_normalize_composes_only_if_that_makes_all_characters_known() -> None:
    decomposed, composed = "e\u0301a", "\u00e9a"
    assert Vocabulary("a\u00e9").normalize(decomposed) == composed
    assert Vocabulary("ae\u0301").normalize(decomposed) == decomposed  # known as it is
    assert Vocabulary("e\u00e9").normalize(decomposed) == decomposed  # unknown either way
    assert Vocabulary("ae\u0301").normalize(composed) == composed

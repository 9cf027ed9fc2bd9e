"""Ids are the places of the characters by code point; encoding and decoding are inverse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequentia.errors import UserError
from sequentia.vocabulary import Vocabulary

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(derandomize=True, deadline=None)
@given(TEXT)
def test_encode_and_decode_are_inverse(text: str) -> None:
    characters = "".join(sorted(set(text)))
    vocabulary = Vocabulary(characters)
    ids = vocabulary.encode(text)
    assert ids.tolist() == [1 + characters.index(c) for c in text]
    assert vocabulary.decode(ids) == text
    assert len(vocabulary) == len(set(text)) + 1


@settings(derandomize=True, deadline=None)
@given(TEXT, TEXT)
def test_an_unknown_character_is_named(known: str, text: str) -> None:
    vocabulary = Vocabulary("".join(sorted(set(known))))
    unknown = [c for c in text if c not in known]
    if unknown:
        with pytest.raises(UserError, match="does not know the character") as caught:
            vocabulary.encode(text)
        assert repr(unknown[0]) in str(caught.value)
    else:
        assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("characters", ["", "ba", "aa", "\ud800"])
def test_what_is_no_vocabulary_is_refused(characters: str) -> None:
    with pytest.raises(UserError):
        Vocabulary(characters)


@pytest.mark.parametrize("ids", [[0], [4], [-1]])
def test_ids_of_no_character_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"ids must lie in 1\.\.3"):
        Vocabulary("abc").decode(ids)


def test_a_text_is_composed_where_that_alone_can_be_written() -> None:
    decomposed, composed = "e\u0301a", "\u00e9a"
    assert Vocabulary("a\u00e9").spell(decomposed) == composed
    assert Vocabulary("ae\u0301").spell(decomposed) == decomposed  # known as it stands
    assert Vocabulary("e\u00e9").spell(decomposed) == decomposed  # unknown either way
    assert Vocabulary("ae\u0301").spell(composed) == composed

"""The Python interface of all architectures, besides the laws."""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
import torch

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, GRU, Bigram, BigramCounts, LanguageModel, NGram
from sequentia.models.counting import Counting
from tests.conftest import NAMES


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    return CharDataModule(write(NAMES), val_fraction=0, test_fraction=0)


def test_a_vocabulary_in_place_of_its_characters_is_refused_with_the_remedy(data: CharDataModule) -> None:
    vocabulary: Any = data.vocabulary
    with pytest.raises(UserError, match=r"^the vocabulary of GRU must be a string .* GRU.for_data\(data\)$"):
        GRU(vocabulary, data.context_length)


def test_a_model_scores_a_list_of_texts_and_nothing_else() -> None:
    model = Bigram("ab", 4)
    assert [score.text for score in model.score(iter(["a", "", "ba"]))] == ["a", "", "ba"]
    assert repr(model.score(["a"])[0]) == "Score('a', nll=2.1972)"  # 2 ln 3
    for texts, message in (
        ("ab", "must be a list, a column or another iterable of strings, got 'ab'"),
        (["a", 1], "item 1 of the texts to score is 1, not a string"),
    ):
        invalid: Any = texts
        with pytest.raises(UserError, match=message):
            model.score(invalid)


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES.values() if a.__module__.startswith("sequentia.")])
def test_a_size_or_rate_that_is_none_nan_or_out_of_range_is_refused_by_name(architecture: type[LanguageModel]) -> None:
    wrong: dict[Any, list[Any]] = {int: [None, math.nan, 0, -1], float: [None, math.nan, math.inf, -1.0]}
    for name, parameter in list(signature(architecture).parameters.items())[1:]:
        for value in wrong.get(parameter.annotation, []) + [1.0] * (name == "dropout"):
            with pytest.raises(UserError, match=f"^{name} must be .*, got {value}$"):
                architecture(**{"vocabulary": "ab", "context_length": 4, name: value})


@pytest.mark.parametrize("architecture", [BigramCounts, NGram])
def test_counting_lines_gives_the_weights_of_a_run_on_them(architecture: type[Counting], data: CharDataModule) -> None:
    expected = architecture.for_data(data)
    for batch in data.train_dataloader():
        expected.count(batch)
    counted = architecture.from_lines(iter(NAMES))
    assert (counted.vocabulary, counted.context_length) == (expected.vocabulary, expected.context_length)
    expected_weights = expected.state_dict()
    for name, weight in counted.state_dict().items():
        assert torch.equal(weight, expected_weights[name])
    assert not counted.training


def test_counting_in_several_batches_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = BigramCounts.from_lines(["", *NAMES]).counts
    monkeypatch.setattr("sequentia.models.counting._CHUNK", 3)
    assert torch.equal(BigramCounts.from_lines(["", *NAMES]).counts, expected)


@pytest.mark.parametrize("lines", [[], [""]])
def test_counting_nothing_is_refused(lines: list[str]) -> None:
    with pytest.raises(UserError, match="there are no lines to count"):
        BigramCounts.from_lines(lines)

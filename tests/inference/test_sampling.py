"""Samples follow the model's probabilities and the options; tests/models/test_laws.py tests every architecture."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.options import SamplingOptions, default_batch_size, max_sample_length
from sequentia.inference.sampling import choose, generate
from sequentia.models import Bigram, Transformer
from tests.conftest import bigram

PROBS = [0.1, 0.4, 0.2, 0.3]


def frequencies(**options: Any) -> Tensor:
    """Relative frequencies of 100,000 tokens drawn from PROBS."""
    logits = torch.tensor(PROBS).log().expand(100_000, 4)
    tokens = choose(logits, SamplingOptions(**options), torch.Generator().manual_seed(1))
    return tokens.bincount(minlength=4) / len(tokens)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, PROBS),
        ({"top_k": 4, "top_p": 1.0}, PROBS),
        ({"temperature": 0.5}, [p**2 / 0.3 for p in PROBS]),  # the squares sum to 0.3
        ({"temperature": 0.0}, [0, 1, 0, 0]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.3}, [0, 1, 0, 0]),
        ({"top_p": 0.5}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.8}, [0, 4 / 9, 2 / 9, 3 / 9]),
        ({"top_k": 3, "top_p": 0.7}, [0, 4 / 7, 0, 3 / 7]),  # 0.7 of the 0.9 that top_k keeps
    ],
    ids=str,
)
def test_tokens_are_drawn_from_the_filtered_distribution(options: dict[str, float], expected: list[float]) -> None:
    found = frequencies(**options)
    assert found.tolist() == pytest.approx(expected, abs=0.01)
    assert [p == 0 for p in found.tolist()] == [p == 0 for p in expected]


def test_the_first_of_equal_logits_wins() -> None:
    logits = torch.tensor([[1.0, 2.0, 2.0, 2.0]])
    generator = torch.Generator().manual_seed(1)
    for options in (SamplingOptions(temperature=0), SamplingOptions(top_k=1), SamplingOptions(top_p=1e-6)):
        assert [int(choose(logits, options, generator)) for _ in range(20)] == [1] * 20


def test_the_nll_is_that_of_the_unmodified_model() -> None:
    model = bigram([[0.5, 0.25, 0.25], [0.25, 0.0, 0.75], [1.0, 0.0, 0.0]], "ab")
    (sample,) = generate(model, 1, temperature=0, min_length=2, max_length=2)
    assert sample.text == "ab"
    assert sample.nll == pytest.approx(-math.log(0.25 * 0.75 * 1.0))
    (cut,) = generate(model, 1, prompt="a", max_length=1)
    assert cut.text == "a"
    assert cut.nll == pytest.approx(-math.log(0.25 * 0.25))


def test_min_length_that_the_model_cannot_reach_is_refused() -> None:
    model = bigram([[0.5, 0.5], [1.0, 0.0]], "a")
    with pytest.raises(UserError, match="lower min_length"):
        list(generate(model, 10, min_length=2))


def test_dropout_does_not_affect_samples_and_the_mode_of_the_model_is_restored_before_each() -> None:
    model = Transformer("abc", 7, n_layer=1, n_head=1, n_embd=8, dropout=0.5).eval()
    expected = []
    for sample in generate(model, 20, seed=1, batch_size=7):
        expected.append(sample)
        assert not model.training
    model.train()
    for sample in generate(model, 20, seed=1, batch_size=7):
        assert sample == expected.pop(0)
        assert model.training


def test_a_sample_is_at_most_1000_characters_long_unless_the_model_has_read_longer_lines_or_has_a_limit() -> None:
    assert max_sample_length(Bigram("a", 4)) == 1000
    assert max_sample_length(Bigram("a", 1500)) == 1499
    assert max_sample_length(Transformer("a", 4)) == 3


def test_a_long_context_makes_batches_smaller() -> None:
    assert default_batch_size(Bigram("a", 1500)) == 5000
    assert default_batch_size(Bigram("a", 1_000_001)) == 10
    assert default_batch_size(Transformer("a", 4)) == 5000
    assert default_batch_size(Transformer("a", 1000)) == 100


def test_memory_grows_with_the_lines_and_not_with_the_longest_possible_line() -> None:
    model = bigram([[0.0, 1.0], [1.0, 0.0]], "a")
    model.context_length = 2**31
    assert [sample.text for sample in generate(model, 3, batch_size=3)] == ["a"] * 3

"""Samples follow the model's probabilities and the options; tests/models/test_laws.py tests every architecture."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference import sampling
from sequentia.inference.conditions import Conditions
from sequentia.inference.options import SamplingOptions, default_batch_size, max_sample_length
from sequentia.inference.sampling import choose, generate
from sequentia.models import Bigram, Transformer
from tests.conftest import bigram
from tests.inference.enumeration import LINES, chi_square_test, probabilities, uneven

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
    (sample,) = generate(model, 1, prompt="a", temperature=0.5, top_k=2, min_length=2)
    assert sample.text == "ab"
    assert sample.nll == pytest.approx(-math.log(0.25 * 0.75 * 1.0))


SMALL = uneven()


@pytest.mark.parametrize(
    ("options", "meets"),
    [
        ({}, lambda text: True),
        ({"match": "a.*c"}, lambda text: len(text) > 1 and text[0] == "a" and text[-1] == "c"),
        ({"match": "(?!.*bb).{2,}"}, lambda text: "bb" not in text and len(text) >= 2),
        ({"match": "ab.*|c.?"}, lambda text: text[:2] == "ab" or (text[:1] == "c" and len(text) <= 2)),
        ({"min_length": 2, "max_length": 3}, lambda text: 2 <= len(text) <= 3),
        ({"avoid": ["", "a", "abca"]}, lambda text: text not in ("", "a", "abca")),
        ({"valid": lambda text: text.count("a") == 2}, lambda text: text.count("a") == 2),
        (
            {"prompt": "b", "match": ".*a.?", "min_length": 3, "avoid": {"bba"}, "temperature": 0.7},
            lambda text: text[0:1] == "b" and "a" in text[-2:] and len(text) >= 3 and text != "bba",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_lines_are_distributed_as_the_models_own_that_meet_the_conditions(
    options: dict[str, Any], meets: Callable[[str], bool]
) -> None:
    wanted = probabilities(SMALL, LINES, options.get("temperature", 1.0))
    wanted = {text: p for text, p in wanted.items() if meets(text)}
    chi_square_test(SMALL.sample(10_000, seed=1, **options), wanted)


def test_several_prompts_get_as_many_lines_each_in_their_order() -> None:
    options: dict[str, Any] = {"match": ".*a", "seed": 1}
    found = SMALL.sample(5_000, prompt=("b", "ca"), **options)
    for prompt, lines in (("b", found[:5_000]), ("ca", found[5_000:])):
        wanted = probabilities(SMALL, [text for text in LINES if text.startswith(prompt) and text.endswith("a")])
        chi_square_test(lines, wanted)
    assert SMALL.sample(20, prompt=["b"], **options) == SMALL.sample(20, prompt="b", **options)


def test_unique_lines_are_unique_among_those_of_all_prompts_and_the_prompts_that_are_short_of_lines_are_named() -> None:
    draws = generate(SMALL, 2, prompt=["ab", "abca", "a"], unique=True, seed=0)
    found = [sample.text for sample in draws]
    assert len(set(found)) == len(found) == 5
    assert draws.shortage().startswith(f"found 5 of 6 lines in {draws.drawn:,} draws, too few that begin with 'abca'; ")


@given(st.from_regex(r"([abc.]|\[[abc]{1,2}\]|\([abc.]{0,2}\|[abc.]\)|[abc.][*+?]){1,5}", fullmatch=True))
def test_a_line_that_matches_is_hopeful_from_its_start(pattern: str) -> None:
    matching = [text for text in LINES if re.fullmatch(pattern, text)]
    try:
        conditions = Conditions(SMALL, SamplingOptions(match=pattern))
    except UserError:
        assert matching == []
        return
    assert [text for text in LINES if conditions.meets(text, True)] == matching
    for text in matching:
        assert text.startswith(conditions.prompts[0])
        ids = torch.from_numpy(SMALL.vocabulary.encode(text))
        assert all(bool(conditions.can_begin(ids[None, :length])) for length in range(1, len(text) + 1))


def test_drawing_gives_up_and_names_the_condition_that_refuses_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "_PATIENCE", 300)
    coin = bigram([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], "ab")
    draws = generate(coin, 3, unique=True, avoid=["a"], seed=0)
    assert [sample.text for sample in draws] == ["b"]
    assert re.fullmatch(
        r"found 1 of 3 lines in \d+ draws; 1 in [12]\.?\d* lines fits; "
        r"\d\d% of the others are refused by (avoid, as 'a'|unique, as 'b'): raise the temperature",
        draws.shortage(),
    )
    draws = generate(coin, 1, min_length=2)
    assert list(draws) == []
    assert f"in {draws.drawn} draws; fewer than 1 in {draws.drawn // 3 + 1} lines fits" in draws.shortage()
    assert "100% of the others are refused by min_length" in draws.shortage()


def test_lines_that_reach_the_limit_of_the_model_are_drawn_again_and_counted() -> None:
    draws = generate(SMALL, 200, seed=0)
    assert len(list(draws)) == 200
    unended = draws.drawn - 200
    assert unended == draws.conditions.refused["max_length"] > 0
    said = f"{unended} of {draws.drawn} lines reached the model's limit without an end, and were drawn again"
    assert draws.frequency() == said


def test_novel_needs_a_model_that_was_loaded_from_a_run() -> None:
    with pytest.raises(UserError, match="novel needs the training lines"):
        SMALL.sample(1, novel=True)


def test_the_signature_names_every_option() -> None:
    assert list(inspect.signature(SMALL.sample).parameters)[:2] == ["num_samples", "prompt"]
    assert {field.name for field in fields(SamplingOptions)} <= inspect.signature(generate).parameters.keys()


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

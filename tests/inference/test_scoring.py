"""Scores are the log probabilities that the model itself gives, character by character."""

import itertools
import math

import pytest
import torch

from sequentia.inference.sampling import generate
from sequentia.inference.scoring import score
from sequentia.models import ARCHITECTURES, Bigram, LanguageModel, Transformer

TEXTS = ["abc", "", "c", "aé", "éa", "bbbbbbb", "ca", "bbbbbb", "abcabcabcabc"]
"""Unsorted by length; with unknown characters, the longest text that fits a context of 7, and longer ones."""


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(1)
    model = ARCHITECTURES[request.param]("abc", 7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model


@torch.no_grad()
def step_log_probs(model: LanguageModel, text: str) -> list[float]:
    """Log probability of each character and the end, by the definition: one `step` per character."""
    model.eval()
    log_probs: list[float] = []
    token, state = 0, None
    for position, target in enumerate([*("abc".find(c) + 1 for c in text), 0]):
        beyond_limit = model.max_positions is not None and position >= model.max_positions
        unknown = position < len(text) and target == 0
        if beyond_limit or unknown:
            return log_probs + [-math.inf] * (len(text) + 1 - position)
        logits, state = model.step(torch.tensor([token]), state)
        log_probs.append(float(logits[0].double().log_softmax(0)[target]))
        token = target
    return log_probs


def test_log_probs_equal_those_of_single_steps(model: LanguageModel) -> None:
    for text, found in zip(TEXTS, score(model, TEXTS), strict=True):
        expected = step_log_probs(model, text)
        assert found.text == text
        assert found.log_probs.tolist() == pytest.approx(expected, abs=1e-5)
        assert found.nll == pytest.approx(-sum(expected), abs=1e-4)


def test_a_sample_has_the_nll_that_score_gives_it(model: LanguageModel) -> None:
    samples = list(generate(model, 50, seed=1, max_length=6))
    assert len({sample.text for sample in samples}) > 10
    for sample, found in zip(samples, score(model, (s.text for s in samples)), strict=True):
        assert found.nll == pytest.approx(sample.nll, abs=1e-4)


def test_the_probabilities_of_all_texts_sum_to_1(model: LanguageModel) -> None:
    texts = ["".join(letters) for n in range(4) for letters in itertools.product("abc", repeat=n)]
    scores = list(score(model, texts))
    up_to_3 = sum(math.exp(-found.nll) for found in scores)
    longer = sum(  # texts of 3 characters that do not end there
        math.exp(found.log_probs[:-1].sum()) - math.exp(-found.nll) for found in scores if len(found.text) == 3
    )
    assert up_to_3 + longer == pytest.approx(1, abs=1e-5)


def test_scores_do_not_depend_on_chunks_and_batches(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [found.nll for found in score(model, TEXTS * 3)]
    monkeypatch.setattr("sequentia.inference.scoring._CHUNK", 4)
    monkeypatch.setattr("sequentia.inference.model._POSITIONS", 5)
    assert [found.nll for found in score(model, TEXTS * 3)] == pytest.approx(expected, abs=1e-4)


def test_only_one_chunk_of_texts_is_read_ahead() -> None:
    count = itertools.count()
    endless = ("a" for _ in count)
    assert next(score(Bigram("a", 2), endless)).nll == pytest.approx(2 * math.log(2))
    assert next(count) == 10_000


def test_dropout_does_not_affect_scores_and_the_mode_of_the_model_is_restored_before_each() -> None:
    model = Transformer("abc", 7, n_layer=1, n_head=1, n_embd=8, dropout=0.5)
    expected = [(found.nll, model.training) for found in score(model.eval(), TEXTS)]
    assert [(found.nll, not model.training) for found in score(model.train(), TEXTS)] == expected
    assert not any(training for _, training in expected)


def test_a_probability_of_0_gives_inf_and_never_nan() -> None:
    model = Bigram("ab", 3)
    (table,) = model.parameters()
    with torch.no_grad():
        table[0] = torch.tensor([0.5, 0.5, 0.0]).log()  # no line starts with b
    empty, b, ba = score(model, ["", "b", "ba"])
    assert empty.nll == pytest.approx(math.log(2))
    assert b.nll == ba.nll == math.inf
    assert b.log_probs.tolist() == pytest.approx([-math.inf, -math.log(3)])

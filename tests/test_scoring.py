"""Scores are the probabilities that the model itself gives, one character after the other."""

import itertools
import math

import pytest
import torch

import sequentia
from sequentia.models import ARCHITECTURES, Bigram, LanguageModel
from sequentia.sampling import generate
from sequentia.scoring import score

TEXTS = ["abc", "", "c", "aé", "éa", "bbbbbbb", "ca", "bbbbbb", "abcabcabcabc"]
"""Of all lengths, out of order: the longest that a context of 7 holds and longer ones, and an unknown character."""


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(1)
    model = ARCHITECTURES[request.param]("abc", 7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model


@torch.no_grad()
def stepped(model: LanguageModel, text: str) -> list[float]:
    """Log probability of each character and the end, a step a character, as the definition says."""
    model.eval()
    log_probs: list[float] = []
    token, state = 0, None
    for place, target in enumerate([*("abc".find(c) + 1 for c in text), 0]):
        unread = model.max_positions is not None and place >= model.max_positions
        if unread or (place < len(text) and target == 0):  # an unknown character
            return log_probs + [-math.inf] * (len(text) + 1 - place)
        logits, state = model.step(torch.tensor([token]), state)
        log_probs.append(float(logits[0].double().log_softmax(0)[target]))
        token = target
    return log_probs


def test_log_probs_are_those_of_stepping_through_the_text(model: LanguageModel) -> None:
    for text, found in zip(TEXTS, score(model, TEXTS), strict=True):
        assert found.text == text
        assert found.log_probs.tolist() == pytest.approx(stepped(model, text), abs=1e-5)
        assert found.nll == pytest.approx(-sum(stepped(model, text)), abs=1e-4)


def test_a_sample_scores_the_nll_that_it_was_drawn_with(model: LanguageModel) -> None:
    samples = list(generate(model, 50, seed=1, max_length=6))
    assert len({sample.text for sample in samples}) > 10
    for sample, found in zip(samples, score(model, (s.text for s in samples)), strict=True):
        assert found.nll == pytest.approx(sample.nll, abs=1e-4)


def test_probabilities_of_all_texts_sum_to_one(model: LanguageModel) -> None:
    texts = ["".join(letters) for n in range(4) for letters in itertools.product("abc", repeat=n)]
    ended = sum(math.exp(-found.nll) for found in score(model, texts))
    open_ = sum(math.exp(found.log_probs[:-1].sum()) for found in score(model, texts) if len(found.text) == 3)
    longer = open_ - sum(math.exp(-found.nll) for found in score(model, texts) if len(found.text) == 3)
    assert ended + longer == pytest.approx(1, abs=1e-5)


def test_chunks_and_batches_change_no_score(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [found.nll for found in score(model, TEXTS * 3)]
    monkeypatch.setattr("sequentia.scoring._CHUNK", 4)
    monkeypatch.setattr("sequentia.scoring._POSITIONS", 5)
    assert [found.nll for found in score(model, TEXTS * 3)] == pytest.approx(whole, abs=1e-4)


def test_texts_are_read_no_further_than_their_chunk() -> None:
    count = itertools.count()
    endless = ("a" for _ in count)
    assert next(score(Bigram("a", 2), endless)).nll == pytest.approx(2 * math.log(2))
    assert next(count) == 10_000


def test_no_texts_have_no_scores() -> None:
    assert list(score(Bigram("a", 2), [])) == []


@pytest.mark.parametrize("training", [True, False])
def test_the_models_mode_is_restored(training: bool) -> None:
    model = Bigram("a", 2).train(training)
    scores = score(model, ["a"])
    next(scores)
    assert model.training is training


def test_a_probability_of_zero_is_inf_and_never_nan() -> None:
    model = Bigram("ab", 3)
    (table,) = model.parameters()
    with torch.no_grad():
        table[0] = torch.tensor([0.5, 0.5, 0.0]).log()  # no line starts with b
        table[2] = -torch.inf  # and nothing is known after b
    a, b, ba = score(model, ["", "b", "ba"])
    assert a.nll == pytest.approx(math.log(2))
    assert b.nll == ba.nll == math.inf
    assert b.log_probs.tolist() == [-math.inf, -math.inf]


def test_the_package_offers_it() -> None:
    assert sequentia.score is score
    assert set(sequentia.__all__) <= set(dir(sequentia)) | set(sequentia._HOME)

"""Laws of lines with labels, for every architecture: a label's token starts the line, and is never predicted."""

import pytest
import torch

from sequentia.inference.batch import IGNORE, Batch
from sequentia.models import ARCHITECTURES, LanguageModel, NGram
from sequentia.models.bigram import Bigram
from sequentia.models.bigram_counts import BigramCounts
from sequentia.models.counting import Counting
from sequentia.vocabulary import Vocabulary

VOCABULARY = Vocabulary("abc", {"": 1, "F": 2, "M": 1})
SHORT_SIGHTED = (Bigram, BigramCounts)
"""Read the last token only."""


def lines(labels: list[str], texts: list[str]) -> Batch:
    """One line per row."""
    size = max(map(len, texts)) + 1
    context, target = torch.zeros(len(texts), size).long(), torch.full((len(texts), size), IGNORE)
    for row, (label, text) in enumerate(zip(labels, texts, strict=True)):
        ids = torch.from_numpy(VOCABULARY.encode(text))
        context[row, : len(ids) + 1] = torch.cat((torch.tensor([VOCABULARY.start(label)]), ids))
        target[row, : len(ids) + 1] = torch.cat((ids, torch.tensor([0])))
    return Batch(context, target, torch.arange(size).expand_as(context), int((target >= 0).sum()))


@pytest.fixture(params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    torch.manual_seed(1)
    model = ARCHITECTURES[request.param](VOCABULARY.plain, 40)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    for module in model.modules():
        if isinstance(module, Counting):  # with F, a is never followed by a; with M always
            module.count(lines(["F", "F", "M", "M", ""], ["abcbabc", "bab", "aaaa", "aaaaca", "cab"]))
    return model.eval()


@torch.no_grad()
def test_logits_are_of_characters_alone_and_step_equals_forward(model: LanguageModel) -> None:
    batch = lines(["F", "M", ""], ["abcabcab", "abcabcab", "aabbccaa"])
    logits = model(batch.context)
    assert logits.shape == (3, 9, 4)
    torch.testing.assert_close(logits.softmax(-1).sum(-1), torch.ones(3, 9))
    state, stepped = None, []
    for token in batch.context.T:
        step, state = model.step(token, state)
        stepped.append(step)
    torch.testing.assert_close(torch.stack(stepped, 1), logits, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_packed_row_gives_each_line_its_own_label(model: LanguageModel) -> None:
    labels, texts = ["M", "F", ""], ["abca", "ca", "bb"]
    batch = lines(labels, texts)
    kept = batch.target != IGNORE
    context, target, position = (tensor[kept][None] for tensor in batch[:3])
    row = Batch(context, target, position, batch.total)
    apart = [model.target_log_probs(lines([label], [text]))[0] for label, text in zip(labels, texts, strict=True)]
    torch.testing.assert_close(model.target_log_probs(row)[0], torch.cat(apart), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_label_is_read_to_the_end_of_a_long_line(model: LanguageModel) -> None:
    text = "abcbca" * 6
    first, second = (model(lines([label], [text]).context)[0].log_softmax(-1) for label in ("F", "M"))
    differs = (first - second).abs().amax(-1) > 1e-6
    assert differs[0]
    assert bool(differs.all()) != isinstance(model, SHORT_SIGHTED)


def test_an_ngram_model_keeps_the_label_and_ignores_one_that_says_nothing() -> None:
    texts = ["abc", "abab", "cab", "bca", "aab"] * 8
    same = NGram(VOCABULARY.plain, 8, order=3)
    same.count(lines(["F", "M"] * 20, texts))
    plain = NGram("abc", 8, order=3)
    plain.count(lines([""] * 40, texts))
    seen = lines(["F"] * 5, texts[:5])
    unlabelled = lines([""] * 5, texts[:5])
    torch.testing.assert_close(same.target_log_probs(seen), plain.target_log_probs(unlabelled), atol=0.05, rtol=0)
    telling = NGram(VOCABULARY.plain, 8, order=3)
    telling.count(lines(["F", "M"] * 20, ["ab", "ba"] * 20))
    first = lines(["F", "M"], ["a", "b"])
    assert (telling.target_log_probs(first)[:, 0].exp() > 0.9).all()

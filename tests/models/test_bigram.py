from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus
from sequentia.errors import UserError
from sequentia.models import Bigram
from sequentia.runs.checkpoint import load
from tests.conftest import bigram


def train(model: Bigram, corpus: Corpus, steps: int, lr: float) -> float:
    """Full-batch gradient descent; returns the NLL in nats per character."""
    batch = make_batch(corpus, np.arange(len(corpus)))
    optimizer = torch.optim.SGD(model.parameter_groups(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        model.training_loss(batch).backward()
        optimizer.step()
    with torch.no_grad():
        return float(model.nll_sum(batch)) / batch.total


@pytest.fixture
def counted_nll(corpus: Corpus) -> float:
    """NLL of the relative frequencies of pairs, counted in plain Python."""
    lines = [f".{corpus.line(i)}." for i in range(len(corpus))]
    pairs = [line[i : i + 2] for line in lines for i in range(len(line) - 1)]
    first = [pair[0] for pair in pairs]
    return float(-np.mean([np.log(pairs.count(pair) / first.count(pair[0])) for pair in pairs]))


def test_gradient_descent_converges_to_the_counted_model(corpus: Corpus, counted_nll: float) -> None:
    model = Bigram(corpus.vocabulary.characters, corpus.longest + 1)
    assert train(model, corpus, 3000, lr=20.0) == pytest.approx(counted_nll, abs=1e-3)


def test_regularization_pulls_the_table_toward_uniform(corpus: Corpus, counted_nll: float) -> None:
    spreads, nlls = [], []
    for regularization in (0.0, 0.1, 1.0, 1000.0):
        model = Bigram(corpus.vocabulary.characters, corpus.longest + 1, regularization=regularization)
        # With a learning rate above V^2 / 1000 the strongest regularization would overshoot.
        nlls.append(train(model, corpus, 1000, lr=0.1))
        probs = model.logits.weight.detach().softmax(1)
        spreads.append(float((probs - 1 / len(corpus.vocabulary)).abs().max()))
    assert nlls == sorted(nlls)
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.02
    assert nlls[-1] == pytest.approx(np.log(len(corpus.vocabulary)), abs=0.02)


def test_regularization_adds_the_weighted_mean_square_to_the_loss_and_not_to_the_nll(corpus: Corpus) -> None:
    batch = make_batch(corpus, np.arange(len(corpus)))
    model = Bigram(corpus.vocabulary.characters, corpus.longest + 1, init_seed=1, regularization=0.01)
    nll = model.nll_sum(batch) / batch.total
    expected = nll + 0.01 * (model.logits.weight**2).mean()
    torch.testing.assert_close(model.training_loss(batch), expected)
    plain = Bigram(corpus.vocabulary.characters, corpus.longest + 1, init_seed=1)
    assert torch.equal(plain.training_loss(batch), nll)


def test_the_initial_table_is_zero_or_determined_by_init_seed() -> None:
    assert not Bigram("abc", 4).logits.weight.any()
    for seed in (0, 2147483647):
        expected = torch.randn((27, 27), generator=torch.Generator().manual_seed(seed))
        torch.manual_seed(seed + 1)
        table = Bigram("abcdefghijklmnopqrstuvwxyz", 16, init_seed=seed).logits.weight
        assert torch.equal(table, expected)


def test_a_logit_of_minus_infinity_is_a_probability_of_0_that_a_checkpoint_keeps(save_run: Callable[..., Path]) -> None:
    model = bigram([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], "ab")
    assert set(load(save_run(model)).sample(50, seed=1)) == {"", "a"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init_seed": -1}, r"init_seed must be in \[0, 2\^64\), got -1"),
        ({"init_seed": 2**64}, r"init_seed must be in"),
        ({"regularization": -0.1}, r"regularization must be finite and at least 0, got -0.1"),
        ({"regularization": float("nan")}, r"regularization must be finite"),
    ],
)
def test_an_option_out_of_range_raises_an_error_that_names_it(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Bigram("abc", 4, **options)

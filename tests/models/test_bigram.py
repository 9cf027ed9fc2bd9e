from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus
from sequentia.models import Bigram
from sequentia.runs.checkpoint import load
from tests.conftest import NAMES, bigram


def test_gradient_descent_converges_to_the_counted_model(corpus: Corpus) -> None:
    model = Bigram(corpus.vocabulary.characters, corpus.longest + 1)
    batch = make_batch(corpus, np.arange(len(corpus)))
    optimizer = torch.optim.SGD(model.parameter_groups(), lr=20.0)
    for _ in range(3000):
        optimizer.zero_grad()
        model.training_loss(batch).backward()
        optimizer.step()
    pairs = [pair for line in NAMES for pair in pairwise(f".{line}.")]
    first = [a for a, _ in pairs]
    counted_nll = -np.mean([np.log(pairs.count(pair) / first.count(pair[0])) for pair in pairs])
    assert model.nll_sum(batch).item() / batch.total == pytest.approx(counted_nll, abs=1e-3)


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

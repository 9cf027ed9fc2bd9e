from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus
from sequentia.errors import UserError
from sequentia.models import Transformer, TransformerEnsemble


@pytest.fixture
def ensemble(corpus: Corpus) -> TransformerEnsemble:
    torch.manual_seed(0)
    model = TransformerEnsemble(corpus.vocabulary.characters, corpus.longest + 1, 3, 1, 2, 8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.5)
    return model


def members(ensemble: TransformerEnsemble) -> list[Transformer]:
    return [member for member in ensemble.members if isinstance(member, Transformer)]


@torch.no_grad()
def test_probabilities_are_the_mean_of_the_members_probabilities(ensemble: TransformerEnsemble) -> None:
    context = torch.tensor([[0, 1, 2], [0, 2, 1]])
    expected = sum(member(context).double().softmax(-1) for member in members(ensemble)) / 3
    torch.testing.assert_close(ensemble(context).double().softmax(-1), expected, rtol=1e-5, atol=1e-7)


@torch.no_grad()
def test_the_nll_of_the_ensemble_is_below_the_mean_nll_of_its_members(
    ensemble: TransformerEnsemble, corpus: Corpus
) -> None:
    """Jensen's inequality, for each line."""
    for i in range(len(corpus)):
        batch = make_batch(corpus, torch.tensor([i]).numpy())
        assert ensemble.nll_sum(batch) < ensemble.training_loss(batch) * batch.total


def test_gradients_of_a_member_are_those_of_training_it_alone(ensemble: TransformerEnsemble, corpus: Corpus) -> None:
    batch = make_batch(corpus, torch.arange(len(corpus)).numpy())
    ensemble.training_loss(batch).backward()
    for member in members(ensemble):
        together = [p.grad.clone() for p in member.parameters() if p.grad is not None]
        member.zero_grad()
        member.training_loss(batch).backward()
        alone: list[Tensor] = [p.grad for p in member.parameters() if p.grad is not None]
        torch.testing.assert_close([3 * gradient for gradient in together], alone)


def test_members_have_different_initial_weights(corpus: Corpus) -> None:
    a, b = members(TransformerEnsemble(corpus.vocabulary.characters, corpus.longest + 1, 2))
    assert not torch.equal(a.token_embedding.weight, b.token_embedding.weight)


@pytest.mark.parametrize("tied", [True, False])
def test_hidden_matrices_are_those_of_the_members(corpus: Corpus, tied: bool) -> None:
    model = TransformerEnsemble(corpus.vocabulary.characters, corpus.longest + 1, 2, tied=tied)
    ours = [(id(p), stacked) for p, stacked in model.hidden_matrices().items()]
    theirs = [(id(p), stacked) for member in members(model) for p, stacked in member.hidden_matrices().items()]
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == 2 * 4 * 4
    heads_and_embeddings = {id(p) for m in members(model) for p in (m.head.weight, m.token_embedding.weight)}
    assert not heads_and_embeddings & {key for key, _ in ours}


def test_a_line_longer_than_the_context_length_raises(ensemble: TransformerEnsemble) -> None:
    longest = ensemble.context_length
    assert ensemble(torch.zeros(1, longest, dtype=torch.long)).shape == (1, longest, len(ensemble.vocabulary))
    with pytest.raises(IndexError):
        ensemble(torch.zeros(1, longest + 1, dtype=torch.long))


def test_an_ensemble_without_members_raises(corpus: Corpus) -> None:
    with pytest.raises(UserError, match=r"model.n_members must be at least 1, got 0"):
        TransformerEnsemble(corpus.vocabulary.characters, 5, 0)


def test_compile_compiles_the_members_that_training_calls(ensemble: TransformerEnsemble, corpus: Corpus) -> None:
    batch = make_batch(corpus, torch.arange(3).numpy())
    ensemble.eval()
    with torch.no_grad():
        expected = ensemble.training_loss(batch)
        compiled = []

        def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
            compiled.append(graph)
            return graph.forward

        ensemble.compile(backend=backend, dynamic=True)
        torch.testing.assert_close(ensemble.training_loss(batch), expected)
    assert compiled

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
def test_probabilities_are_the_mean_of_the_members(ensemble: TransformerEnsemble) -> None:
    context = torch.tensor([[0, 1, 2], [0, 2, 1]])
    expected = sum(member(context).double().softmax(-1) for member in members(ensemble)) / 3
    torch.testing.assert_close(ensemble(context).double().softmax(-1), expected, rtol=1e-5, atol=1e-7)


@torch.no_grad()
def test_the_mean_is_at_least_as_likely_as_the_members_are_on_average(
    ensemble: TransformerEnsemble, corpus: Corpus
) -> None:
    """Jensen's inequality, of every line."""
    for i in range(len(corpus)):
        batch = make_batch(corpus, torch.tensor([i]).numpy())
        assert ensemble.nll_sum(batch) < ensemble.training_loss(batch) * batch.total


def test_each_member_learns_as_if_it_were_alone(ensemble: TransformerEnsemble, corpus: Corpus) -> None:
    batch = make_batch(corpus, torch.arange(len(corpus)).numpy())
    ensemble.training_loss(batch).backward()
    for member in members(ensemble):
        together = [p.grad.clone() for p in member.parameters() if p.grad is not None]
        member.zero_grad()
        member.training_loss(batch).backward()
        alone: list[Tensor] = [p.grad for p in member.parameters() if p.grad is not None]
        torch.testing.assert_close([3 * gradient for gradient in together], alone)


def test_members_start_apart(corpus: Corpus) -> None:
    a, b = members(TransformerEnsemble(corpus.vocabulary.characters, corpus.longest + 1, 2))
    assert not torch.equal(a.token_embedding.weight, b.token_embedding.weight)


def test_untied_heads_are_no_hidden_matrices(corpus: Corpus) -> None:
    model = TransformerEnsemble(corpus.vocabulary.characters, corpus.longest + 1, 2, tied=False)
    hidden = {id(p) for p in model.parameter_groups()[0]["params"]}
    assert not any(id(member.head.weight) in hidden for member in members(model))


def test_no_members_are_refused(corpus: Corpus) -> None:
    with pytest.raises(UserError, match="n_members"):
        TransformerEnsemble(corpus.vocabulary.characters, 5, 0)


def test_compiling_reaches_what_training_calls(ensemble: TransformerEnsemble, corpus: Corpus) -> None:
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

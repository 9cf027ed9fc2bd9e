"""The mixture of several models: probabilities, weights, training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor

from sequentia.cli import main
from sequentia.data import CharDataModule
from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus
from sequentia.errors import UserError
from sequentia.models import BigramCounts, LanguageModel, Mixture, NGram, Transformer
from sequentia.models.counting import Counting
from sequentia.models.mixture import choose_weights
from sequentia.runs.checkpoint import load

SMALL = {"architecture": "Transformer", "n_layer": 1, "n_head": 2, "n_embd": 8, "dropout": 0.0}
MEMBERS: list[dict[str, Any]] = [
    {**SMALL, "copies": 2},
    {"architecture": "MLP", "n_hidden": 8, "dropout": 0.0},
    {"architecture": "BigramCounts"},
    {"architecture": "NGram"},
]


@pytest.fixture
def mixture(corpus: Corpus) -> Mixture:
    """Five members with random weights, one of which has counted; the weights of the mixture differ."""
    torch.manual_seed(0)
    model = Mixture(corpus.vocabulary.characters, corpus.longest + 1, MEMBERS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.5)
        model.weights.copy_(torch.tensor([0.1, 0.15, 0.2, 0.25, 0.5]))
    model.counting()[1].count(make_batch(corpus, np.arange(len(corpus))))
    return model


def contexts(corpus: Corpus) -> Tensor:
    """Seen and unseen contexts, `(B, T)`."""
    torch.manual_seed(1)
    context = torch.randint(1, len(corpus.vocabulary), (20, corpus.longest + 1))
    context[:, 0] = 0
    for i in range(len(corpus)):
        context[i, 1 : len(corpus.line(i)) + 1] = torch.from_numpy(corpus.vocabulary.encode(corpus.line(i)))
    return context


@torch.no_grad()
def test_probabilities_are_the_product_of_powers_of_the_members_and_sum_to_1(mixture: Mixture, corpus: Corpus) -> None:
    context = contexts(corpus)
    parts = [member(context).double().softmax(-1) for member in mixture.all_members()]
    product = torch.stack([part**w for w, part in zip((0.1, 0.15, 0.2, 0.25, 0.5), parts, strict=True)]).prod(0)
    found = mixture(context).double().softmax(-1)
    torch.testing.assert_close(found, product / product.sum(-1, keepdim=True), rtol=1e-5, atol=1e-8)


@torch.no_grad()
def test_a_probability_of_0_under_one_member_leaves_the_logits_finite(corpus: Corpus) -> None:
    members = [{"architecture": "BigramCounts", "smoothing": 0.0}, {"architecture": "GRU", "n_hidden": 8}]
    model = Mixture(corpus.vocabulary.characters, corpus.longest + 1, members)
    model.counting()[0].count(make_batch(corpus, np.arange(2)))
    logits = model(contexts(corpus))
    assert logits.isfinite().all()


def test_gradients_of_a_network_are_those_of_training_it_alone(mixture: Mixture, corpus: Corpus) -> None:
    batch = make_batch(corpus, np.arange(len(corpus)))
    mixture.training_loss(batch).backward()
    assert len(mixture.networks()) == 3
    for network in mixture.networks():
        together = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        assert together
        network.zero_grad()
        network.training_loss(batch).backward()
        alone = [p.grad for p in network.parameters() if p.grad is not None]
        torch.testing.assert_close([3 * gradient for gradient in together], alone)


def test_copies_have_different_initial_weights(corpus: Corpus) -> None:
    a, b = Mixture(corpus.vocabulary.characters, 5, [{**SMALL, "copies": 2}]).networks()
    assert isinstance(a, Transformer)
    assert isinstance(b, Transformer)
    assert not torch.equal(a.token_embedding.weight, b.token_embedding.weight)


@pytest.mark.parametrize(
    ("members", "weights"),
    [
        (None, [0.25, 0.25, 0.5]),
        ([{**SMALL, "copies": 4}, {"architecture": "NGram"}], [0.125, 0.125, 0.125, 0.125, 0.5]),
        ([SMALL, {"architecture": "GRU"}], [0.5, 0.5]),
    ],
)
def test_before_lines_are_held_out_counting_has_half_of_the_weight(
    members: list[dict[str, Any]] | None, weights: list[float]
) -> None:
    torch.testing.assert_close(Mixture("ab", 5, members).weights, torch.tensor(weights))


def test_the_context_is_limited_by_the_members(mixture: Mixture) -> None:
    assert mixture.max_positions == mixture.context_length
    assert Mixture("ab", 5, [{"architecture": "GRU"}, {"architecture": "NGram"}]).max_positions is None


def test_compile_compiles_the_networks_that_training_calls(mixture: Mixture, corpus: Corpus) -> None:
    batch = make_batch(corpus, np.arange(3))
    mixture.eval()
    with torch.no_grad():
        expected = mixture.training_loss(batch)
        compiled = []

        def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
            compiled.append(graph)
            return graph.forward

        mixture.compile(backend=backend, dynamic=True)
        torch.testing.assert_close(mixture.training_loss(batch), expected)
    assert len(compiled) == 2  # the two Transformers share one


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"architecture": "NGram"}], "has no network"),
        (["NGram"], "expected a mapping with one of the architectures .*, got NGram"),
        ([{"architecture": "Mixture"}], "one of the architectures .*, got {'architecture': 'Mixture'}"),
        ([{**SMALL, "layers": 2}], "invalid options of Transformer: .* unexpected keyword argument 'layers'"),
        ([{**SMALL, "copies": 1.5}], "invalid options of Transformer"),
    ],
)
def test_an_invalid_member_is_a_mistake(members: list[Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Mixture("ab", 5, members)


LINES = [f"{a}{b}{c}" for a in "abc" for b in "ab" for c in "abcd"] * 3


@pytest.fixture
def fit(tmp_path: Path, write: Callable[..., str]) -> Callable[..., Mixture]:
    """Fit a small mixture with the given options; returns the model of best.ckpt."""

    def fit(*options: str) -> Mixture:
        members = f"[{{architecture: NGram}}, {SMALL}]".replace("'", "")
        arguments = ["--model", "Mixture", "--model.members", members, "--data.path", write(LINES)]
        arguments += ["--data.batch_size", "20", "--trainer.accelerator", "cpu", "--trainer.max_steps", "6"]
        arguments += ["--trainer.default_root_dir", str(tmp_path / "runs"), *options]
        assert main(["fit", *arguments]) == 0
        model = load(max((tmp_path / "runs").glob("version_*/best.ckpt")))
        assert isinstance(model, Mixture)
        return model

    return fit


def test_the_chosen_weights_have_the_lowest_nll() -> None:
    """Plus the penalty; found independently, by gradient descent."""
    torch.manual_seed(0)
    log_probs = torch.randn(3, 500, 6, dtype=torch.double).mul(2).log_softmax(-1)
    target = log_probs[:2].sum(0).softmax(-1).multinomial(1)[:, 0]
    start, initial = torch.tensor([0.2, 0.3, 0.5]).double(), torch.tensor([0.4, 0.4, 0.2]).double()
    found = choose_weights(log_probs, target, start, initial)
    weights = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def loss() -> Tensor:
        optimizer.zero_grad()
        nll = torch.nn.functional.cross_entropy(torch.tensordot(weights, log_probs, 1), target, reduction="sum")
        total = nll + 100 * ((weights - initial) ** 2).sum()
        total.backward()
        return total

    optimizer.step(loss)
    torch.testing.assert_close(found, weights.detach(), rtol=1e-5, atol=1e-6)


def test_a_member_that_misleads_has_no_weight() -> None:
    log_probs = torch.tensor([[[0.9, 0.1]] * 1000, [[0.1, 0.9]] * 1000]).log()
    weights = choose_weights(log_probs, torch.zeros(1000).long(), torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5]))
    assert weights[0] > 0.5
    assert weights[1] == 0


def test_a_run_chooses_the_weights_on_its_validation_lines(
    fit: Callable[..., Mixture], write: Callable[..., str]
) -> None:
    model = fit("--data.val_fraction", "0.3")
    data = CharDataModule(write(LINES), val_fraction=0.3)
    batch = make_batch(data.corpus, data.split.val)
    kept = batch.target >= 0
    with torch.no_grad():
        log_probs = model.log_probs_of_members(batch.context, batch.position)[:, kept]
    initial = model.initial_weights
    expected = choose_weights(log_probs, batch.target[kept], initial, initial)
    torch.testing.assert_close(model.weights, expected, rtol=1e-4, atol=1e-5)
    assert (expected - initial).abs().max() > 0.02, "the weights have changed"


def test_the_logged_validation_nll_and_weights_are_those_of_the_saved_mixture(
    fit: Callable[..., Mixture], write: Callable[..., str], tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = fit()
    data = CharDataModule(write(LINES))
    batch = make_batch(data.corpus, data.split.val)
    with torch.no_grad():
        expected = float(model.nll_sum(batch)) / batch.total
    events = EventAccumulator(str(tmp_path / "runs" / "version_0")).Reload()
    nlls = [event.value for event in events.Scalars("val/loss")]
    assert min(nlls) == pytest.approx(expected, rel=1e-6)
    for name, weight in zip(("0_NGram", "1_Transformer"), model.weights, strict=True):
        weights = [event.value for event in events.Scalars(f"weight/{name}")]
        assert weights[nlls.index(min(nlls))] == pytest.approx(float(weight), rel=1e-6)


def test_every_training_line_is_counted_once_before_the_first_step(
    fit: Callable[..., Mixture], write: Callable[..., str]
) -> None:
    model = fit("--trainer.max_steps", "1", "--data.val_fraction", "0.3")
    (counted,) = model.counting()
    data = CharDataModule(write(LINES), val_fraction=0.3)
    alone = NGram(data.vocabulary.characters, data.context_length)
    alone.count(make_batch(data.corpus, data.split.train))
    assert same_weights(counted, alone)


def test_a_resumed_run_counts_nothing_again(fit: Callable[..., Mixture]) -> None:
    before = fit().counting()[0]
    after = fit("--ckpt_path", "last", "--trainer.max_steps", "10").counting()[0]
    assert same_weights(before, after)


def same_weights(one: Counting, other: Counting) -> bool:
    """Whether two models have counted the same."""
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_stay_if_nothing_is_held_out(fit: Callable[..., Mixture]) -> None:
    model = fit("--data.val_fraction", "0", "--data.test_fraction", "0")
    torch.testing.assert_close(model.weights, torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("model", [BigramCounts("ab", 3), Mixture("ab", 3, [SMALL])])
def test_weights_that_are_not_learned_step_by_step_are_not_averaged(model: LanguageModel) -> None:
    options: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", callbacks=[EMAWeightAveraging()], max_steps=1, **options)
    with pytest.raises(UserError, match="EMAWeightAveraging cannot average the weights of"):
        trainer.fit(model, CharDataModule())

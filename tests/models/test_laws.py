"""Laws that hold for every architecture in ARCHITECTURES, including future ones."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequentia.data.batches import make_batch
from sequentia.data.corpus import Corpus
from sequentia.errors import UserError
from sequentia.inference import options
from sequentia.inference.batch import Batch
from sequentia.models import ARCHITECTURES, Bigram, LanguageModel, Mixture
from sequentia.models.counting import Counting
from sequentia.runs.checkpoint import load, read_checkpoint
from sequentia.vocabulary import Plain
from tests.inference.enumeration import chi_square_test, probabilities


def build(architecture: str, vocabulary: Plain, context_length: int, **options: Any) -> LanguageModel:
    """An architecture of default size with noise added to all weights, some of which are initially zero."""
    torch.manual_seed(1)
    model = ARCHITECTURES[architecture](vocabulary, context_length, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    for module in counting(model):
        module.count(random_batch(model))
    return model.eval()


def counting(model: LanguageModel) -> list[Counting]:
    """The model or its members that count."""
    return [module for module in model.modules() if isinstance(module, Counting)]


def random_batch(model: LanguageModel) -> Batch:
    """A batch of random lines, one per row; ten of them are distinct."""
    context = torch.randint(1, len(model.vocabulary), (10, model.context_length))[torch.randint(10, (100,))]
    target = context.roll(-1, 1)
    context[:, 0] = target[:, -1] = 0
    return Batch(context, target, torch.arange(model.context_length).expand_as(context), target.numel())


def options_of(architecture: str) -> dict[str, Any]:
    """The arguments of an architecture and their defaults."""
    parameters = inspect.signature(ARCHITECTURES[architecture]).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(architecture: str, corpus: Corpus) -> LanguageModel:
    return build(architecture, corpus.vocabulary.characters, corpus.longest + 1)


def line_nll(model: LanguageModel, batch: Batch) -> dict[tuple[int, ...], float]:
    """NLL of each line of a batch; the key is the line's context."""
    logits = model(batch.context, batch.position)
    nll = F.cross_entropy(logits.transpose(1, 2), batch.target, reduction="none")
    found: dict[tuple[int, ...], float] = {}
    for row in range(len(batch.context)):
        kept = batch.target[row] != -100
        starts = (batch.position[row][kept] == 0).nonzero()[:, 0].tolist()
        bounds = zip(starts, [*starts[1:], int(kept.sum())], strict=True)
        for a, b in bounds:
            found[tuple(batch.context[row][kept][a:b].tolist())] = float(nll[row][kept][a:b].sum())
    return found


@torch.no_grad()
def test_later_tokens_do_not_change_earlier_logits(model: LanguageModel) -> None:
    length = model.context_length
    context = torch.randint(1, len(model.vocabulary), (3, length))
    context[:, 0] = 0
    logits = model(context)
    assert logits.shape == (3, length, len(model.vocabulary))
    for t in range(1, length):
        changed = context.clone()
        changed[:, t:] = context[:, t:] % (len(model.vocabulary) - 1) + 1
        assert torch.equal(model(changed)[:, :t], logits[:, :t])


@torch.no_grad()
def test_step_by_step_logits_equal_forwards(model: LanguageModel) -> None:
    context = torch.randint(1, len(model.vocabulary), (4, model.context_length))
    context[:, 0] = 0
    state, stepped = None, []
    for t in range(model.context_length):
        logits, state = model.step(context[:, t], state)
        stepped.append(logits)
    torch.testing.assert_close(torch.stack(stepped, 1), model(context), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_step_continues_any_subset_of_the_lines_in_any_order(model: LanguageModel) -> None:
    context = torch.randint(1, len(model.vocabulary), (4, 3))
    context[:, 0] = 0
    keep = torch.tensor([3, 1])
    state = None
    for t in range(2):
        _, state = model.step(context[:, t], state)
    assert state is not None
    logits, _ = model.step(context[keep, 2], tuple(tensor[keep] for tensor in state))
    torch.testing.assert_close(logits, model(context)[keep, 2], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_model_reads_longer_lines_than_in_training_or_raises_if_its_positions_are_limited(
    model: LanguageModel,
) -> None:
    context = torch.randint(1, len(model.vocabulary), (2, 3 * model.context_length))
    context[:, 0] = 0
    if model.max_positions is not None:
        assert model(context[:, : model.max_positions]).isfinite().all()
        with pytest.raises(IndexError):
            model(context[:, : model.max_positions + 1])
        return
    logits, state = model(context), None
    assert logits.isfinite().all()
    for t in range(context.shape[1]):
        stepped, state = model.step(context[:, t], state)
        torch.testing.assert_close(stepped, logits[:, t], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("longest", [5, 20])
def test_samples_can_be_as_long_as_the_longest_training_line(
    architecture: str, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "UNLIMITED_MAX_LENGTH", 10)  # 1,000 steps would be slow
    model = ARCHITECTURES[architecture]("a", longest + 1)
    assert model.sample(1, seed=0, prompt=longest * "a", max_length=longest) == [longest * "a"]


@torch.no_grad()
def test_packing_and_batch_composition_do_not_change_a_lines_nll(model: LanguageModel, corpus: Corpus) -> None:
    every = line_nll(model, make_batch(corpus, np.arange(len(corpus))))
    assert len(every) == len(corpus)
    assert sum(every.values()) == pytest.approx(
        float(model.nll_sum(make_batch(corpus, np.arange(len(corpus))))), rel=1e-5
    )
    for i in range(len(corpus)):
        alone = corpus.vocabulary.encode(corpus.line(i))
        context = torch.tensor([[0, *alone]])
        target = torch.tensor([*alone, 0])
        nll = float(F.cross_entropy(model(context)[0], target, reduction="sum"))
        assert every[tuple(context[0].tolist())] == pytest.approx(nll, abs=1e-5 * (len(alone) + 1))


def test_gradients_of_a_packed_batch_equal_the_sum_of_its_lines_gradients(model: LanguageModel, corpus: Corpus) -> None:
    def gradients(batches: list[Batch]) -> list[Tensor]:
        model.zero_grad()
        for batch in batches:
            model.nll_sum(batch).backward()
        return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]

    if not any(p.requires_grad for p in model.parameters()):
        pytest.skip("this architecture is not trained by gradients")
    packed = gradients([make_batch(corpus, np.arange(len(corpus)))])
    alone = gradients([make_batch(corpus, np.array([i])) for i in range(len(corpus))])
    assert sum(float(g.abs().sum()) for g in packed) > 0
    torch.testing.assert_close(packed, alone, atol=1e-4, rtol=1e-4)


def output_layer(model: LanguageModel) -> list[Tensor]:
    """The weights that, if zero, make all logits equal, whatever the other weights are."""
    if isinstance(model, Bigram):
        return [model.logits.weight]
    if isinstance(model, Mixture):
        return [weight for network in model.networks() for weight in output_layer(network)]
    return list(model.head.parameters())


@torch.no_grad()
def test_a_zeroed_output_layer_gives_an_nll_of_ln_v(model: LanguageModel, corpus: Corpus) -> None:
    uniform = math.log(len(corpus.vocabulary))
    batch = make_batch(corpus, np.arange(len(corpus)))
    assert abs(float(model.nll_sum(batch)) / batch.total - uniform) > 1e-3
    for module in counting(model):  # has no layers: nothing is counted
        module.load_state_dict(type(module)(model.vocabulary.characters, model.context_length).state_dict())
    if not isinstance(model, Counting):
        for weights in output_layer(model):
            weights.zero_()
    assert float(model.nll_sum(batch)) / batch.total == pytest.approx(uniform, rel=1e-6)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if "dropout" in options_of(name)])
def test_dropout_is_active_only_in_training(architecture: str) -> None:
    options: dict[str, Any] = {"dropout": 0.5}
    model, context = ARCHITECTURES[architecture]("ab", 4, **options), torch.tensor([[0, 1, 2, 1]])
    assert not torch.equal(model(context), model(context))
    model.eval()
    assert torch.equal(model(context), model(context))


STACKED = {
    "BagOfWords": [1, 1],
    "MLP": [1],
    "RNN": [1, 1],
    "GRU": [3, 3],  # reset gate, update gate and candidate
    "LSTM": [4, 4],  # three gates and the candidate
    "CNN": [*4 * [2], *5 * [1]],  # signal and gate of each layer; residuals, skip and mix
    "Transformer": 4 * [3, 1, 1, 1],  # query, key and value
    "Mixture": [*4 * [3, 1, 1, 1], *4 * [2], *5 * [1]],
}


class TestDeclarations:
    """The declarations of an architecture, derived independently from its modules and its behavior."""

    # With this vocabulary V is 29, which is no other size of any architecture: a parameter with a dimension of 29 is
    # a token embedding, a head or a table of bigrams.
    VOCABULARY = "abcdefghijklmnopqrstuvwxyzäö"
    VARIANTS: ClassVar = [
        pytest.param((name, variant), id="-".join([name, *variant]))
        for name in ARCHITECTURES
        for variant in ({}, {"tied": False}, {"n_layer": 2})
        if variant.keys() <= options_of(name).keys()
    ]

    @pytest.fixture(params=VARIANTS)
    def model(self, request: pytest.FixtureRequest) -> LanguageModel:
        name, options = request.param
        return build(name, self.VOCABULARY, 17, **options)

    def test_hidden_matrices_are_all_matrices_except_embeddings_and_head(self, model: LanguageModel) -> None:
        embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
        expected = {
            name
            for name, p in model.named_parameters()
            if p.requires_grad and p.ndim == 2 and len(model.vocabulary) not in p.shape and id(p) not in embeddings
        }
        names = {id(p): name for name, p in model.named_parameters()}
        assert {names[id(p)] for p in model.hidden_matrices()} == expected

    @pytest.mark.parametrize("architecture", STACKED)
    def test_hidden_matrices_declare_how_many_matrices_they_stack(self, architecture: str) -> None:
        model = ARCHITECTURES[architecture]("ab", 4)
        assert [*model.hidden_matrices().values()] == STACKED[architecture]

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_vocabulary_and_position_dims_are_those_that_change_with_the_data(
        self, variant: tuple[str, dict[str, Any]]
    ) -> None:
        name, options = variant
        model = build(name, self.VOCABULARY, 17, **options)
        weights = model.state_dict(keep_vars=True)
        for declared, other, size in (
            (model.vocabulary_dims(), build(name, self.VOCABULARY + "ü", 17, **options), len(self.VOCABULARY) + 1),
            (model.position_dims(), build(name, self.VOCABULARY, 20, **options), 17),
        ):
            assert {id(weight) for weight in declared} <= {id(weight) for weight in weights.values()}
            for key, changed in other.state_dict().items():
                dims = declared.get(weights[key], ())
                shape = weights[key].shape
                if key.rpartition(".")[2] in ("ngrams", "counts") and not dims:
                    continue  # a list, whose length is the number of distinct n-grams
                assert dims == tuple(dim for dim in range(len(shape)) if shape[dim] != changed.shape[dim]), key
                assert all(shape[dim] == size for dim in dims), key

    @pytest.mark.parametrize("frozen", [False, True])
    def test_parameter_groups_partition_the_trainable_parameters(self, model: LanguageModel, frozen: bool) -> None:
        if frozen:
            for parameter in list(model.parameters())[::3]:
                parameter.requires_grad_(False)
        groups = model.parameter_groups()
        grouped = [id(p) for group in groups for p in group["params"]]
        assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
        hidden = {id(p): stacked for p, stacked in model.hidden_matrices().items()}
        for group in groups:
            assert group["hidden"] == (id(group["params"][0]) in hidden)
            if group["hidden"]:
                assert group["stacked"] == [hidden[id(p)] for p in group["params"]]
            for parameter in group["params"]:
                assert (id(parameter) in hidden) == group["hidden"]
                # Matrices have the optimizer's weight decay.
                assert group.get("weight_decay") == (0 if parameter.ndim < 2 else None)

    @torch.no_grad()
    def test_options_that_may_change_keep_the_meaning_of_the_weights(self, architecture: str) -> None:
        options = options_of(architecture) | {"context_length": 17}
        changes_logits = {"smoothing"}  # its purpose: the counts stay
        assert ARCHITECTURES[architecture].may_change <= options.keys()
        model = build(architecture, self.VOCABULARY, 17)
        context = torch.randint(1, len(model.vocabulary), (4, 17))
        for name in ARCHITECTURES[architecture].may_change:
            value = options[name]
            changed = 1 if value is None else value + 0.5 if isinstance(value, float) else value + 1
            arguments: dict[str, Any] = {"context_length": 17, name: changed}
            other = build(architecture, self.VOCABULARY, **arguments)
            other.load_state_dict(model.state_dict())
            if name not in changes_logits:
                assert torch.equal(other(context), model(context)), name


class TestSampling:
    @pytest.fixture
    def small(self, architecture: str) -> LanguageModel:
        return build(architecture, "abc", 4)

    def test_frequencies_match_the_probabilities(self, small: LanguageModel) -> None:
        lines = ["", *"abc", *(a + b for a in "abc" for b in "abc")]
        chi_square_test(small.sample(5_000, seed=3, max_length=2), probabilities(small, lines))

    def test_the_same_seed_gives_the_same_samples(self, small: LanguageModel) -> None:
        assert small.sample(50, seed=7) == small.sample(50, seed=7)
        assert small.sample(50, seed=7) != small.sample(50, seed=8)


@torch.no_grad()
def test_a_checkpoint_round_trip_changes_no_logit(model: LanguageModel, save_run: Callable[..., Path]) -> None:
    run = save_run(model)
    state = torch.get_rng_state()
    loaded = load(run)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(loaded) is type(model)
    assert loaded.vocabulary == model.vocabulary
    context = torch.randint(0, len(model.vocabulary), (2, model.context_length))
    assert torch.equal(loaded(context), model(context))


def test_a_checkpoint_of_another_vocabulary_is_refused(
    architecture: str, model: LanguageModel, save_run: Callable[..., Path]
) -> None:
    checkpoint = read_checkpoint(save_run(model) / "best.ckpt")
    model.on_load_checkpoint(checkpoint)
    characters = model.vocabulary.characters
    replaced = chr(ord(characters[-1]) + 1)  # the same size, so that all weights would fit
    other = build(architecture, characters[:-1] + replaced, model.context_length)
    with pytest.raises(UserError, match="vocabulary"):
        other.on_load_checkpoint(checkpoint)

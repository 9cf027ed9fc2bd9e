"""Weights are copied by character and position; new characters start as a related one, all else stays fresh."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sequentia.models import ARCHITECTURES, LanguageModel, Mixture
from sequentia.models.parts.transfer import copy_weights
from sequentia.vocabulary import Plain
from tests.models.test_laws import build, counting, options_of

VARIANTS = [
    pytest.param((name, options), id="-".join([name, *options]))
    for name in ARCHITECTURES
    for options in ({}, {"tied": False})
    if options.keys() <= options_of(name).keys() and name not in ("BigramCounts", "NGram")
]
Variant = tuple[str, dict[str, Any]]


def fresh(variant: Variant, vocabulary: Plain, context_length: int) -> LanguageModel:
    """A new model, with its own initial weights."""
    torch.manual_seed(2)
    name, options = variant
    return ARCHITECTURES[name](vocabulary, context_length, **options).eval()


def log_probs(model: LanguageModel, text: str, characters: str, label: str = "") -> list[Tensor]:
    """Log-probabilities of the next token after each prefix of `text`, given that it is the end or in `characters`.

    A mixture has one tensor per network: the mixture weighs each by its probability of these tokens.
    """
    context = torch.tensor([[model.vocabulary.start(label), *model.vocabulary.encode(text)]])
    tokens = torch.tensor([0, *model.vocabulary.encode(characters)])
    members = model.networks() if isinstance(model, Mixture) else [model]
    return [member.double()(context)[..., tokens].log_softmax(-1) for member in members]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("context_length", [12, 9])
@torch.no_grad()
def test_probabilities_among_the_shared_characters_are_those_of_the_trained_model(
    variant: Variant, context_length: int
) -> None:
    trained = build(variant[0], "abcdf", 12, **variant[1])
    model = fresh(variant, "bdefgä", context_length)
    copy_weights(model, trained)
    for text in ("bdffdb", "fbd", ""):
        expected = log_probs(trained, text, "bdf")
        torch.testing.assert_close(log_probs(model, text, "bdf"), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_vocabulary_and_length_copy_every_bit(variant: Variant) -> None:
    trained, model = build(variant[0], "abcd", 9, **variant[1]), fresh(variant, "abcd", 9)
    parameters = [id(parameter) for parameter in model.parameters()]
    copy_weights(model, trained)
    assert [id(parameter) for parameter in model.parameters()] == parameters
    copied = model.state_dict()
    assert copied.keys() == trained.state_dict().keys()
    for member in counting(model):  # it will count its own lines
        assert not member.counts.any()
    counts = {f"members.2.{name}" for name in ("ngrams", "counts")} if isinstance(model, Mixture) else set()
    expected = trained.state_dict()
    assert all(torch.equal(copied[name], expected[name]) for name in expected.keys() - counts)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_rows_of_embedding_and_head_follow_their_characters_and_new_ones_stay_fresh(tied: bool) -> None:
    options = {"n_layer": 1, "n_embd": 8, "tied": tied}
    trained = build("Transformer", "acd", 5, **options)
    model = fresh(("Transformer", options), "abcz", 5)
    initial = {name: weight.clone() for name, weight in model.state_dict().items()}
    copy_weights(model, trained)
    for name in ("token_embedding.weight", "head.weight"):
        before = trained.state_dict()[name]
        boundary, a, b, c, z = model.state_dict()[name]
        assert torch.equal(torch.stack((boundary, a, c)), before[:3])
        assert torch.equal(torch.stack((b, z)), initial[name][[2, 4]])


@pytest.mark.parametrize("tied", [True, False])
def test_a_new_letter_starts_as_that_of_the_other_case_or_without_accent_and_a_space_as_the_boundary(
    tied: bool,
) -> None:
    options = {"n_layer": 1, "n_embd": 8, "tied": tied}
    trained = build("Transformer", "Eaesz", 5, **options)
    model = fresh(("Transformer", options), " +-AEaeßàé", 5)
    initial = {name: weight.clone() for name, weight in model.state_dict().items()}
    copy_weights(model, trained)
    boundary, upper_e, a, e, s = range(5)  # known characters keep their own rows
    for name in ("token_embedding.weight", "head.weight"):
        before, after = trained.state_dict()[name], model.state_dict()[name]
        expected = before[[boundary, boundary, boundary, boundary, a, upper_e, a, e, s, a, e]]
        expected[2] = initial[name][2]  # + has no relative
        assert torch.equal(after, expected)


@pytest.mark.parametrize("name", ["Transformer", "Mixture", "BagOfWords"])
@pytest.mark.parametrize("context_length", [4, 7])
def test_positions_are_copied_by_number_and_new_ones_stay_fresh(name: str, context_length: int) -> None:
    trained, model = build(name, "ab", 5), fresh((name, {}), "ab", context_length)
    initial = [weight.clone() for weight in model.position_dims()]
    copy_weights(model, trained)
    for after, before, new in zip(model.position_dims(), trained.position_dims(), initial, strict=True):
        assert torch.equal(after, torch.cat((before, new[5:]))[:context_length])


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_labels_are_matched_by_name_and_a_new_one_starts_as_the_boundary(variant: Variant) -> None:
    plain: Plain = "abc"
    first: Plain = {"characters": "abc", "labels": {"": 1, "F": 1, "M": 1}}
    second: Plain = {"characters": "abc", "labels": {"M": 1, "X": 1}}
    for before, after, starts in (
        (plain, first, {"": "", "F": "", "M": ""}),
        (first, plain, {"": ""}),
        (first, second, {"": "", "M": "M", "X": ""}),
    ):
        trained, model = build(variant[0], before, 9, **variant[1]), fresh(variant, after, 9)
        copy_weights(model, trained)
        for ours, theirs in starts.items():
            expected = log_probs(trained, "cabba", "abc", theirs)
            torch.testing.assert_close(log_probs(model, "cabba", "abc", ours), expected, rtol=0, atol=1e-12)

"""A picture of a model shows values that the model computes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.models import ARCHITECTURES, GRU, Bigram, LanguageModel, Mixture, Transformer
from sequentia.reporting import draw
from sequentia.reporting.pictures import draw_attention, draw_embedding


def test_the_embedding_is_drawn_at_its_first_two_principal_components() -> None:
    """Here the vectors are in a plane, so that the picture keeps their distances."""
    model = GRU("$ab", 4, n_embd=3)
    vectors = torch.tensor([[0.0, 0, 0], [3, 4, 0], [6, 0, 0], [0, 8, 0]])
    with torch.no_grad():
        model.embedding.weight.copy_(vectors)
    figure = draw_embedding(model)
    texts = figure.axes[0].texts
    assert [text.get_text() for text in texts] == [".", "$", "a", "b"]
    points = torch.tensor([text.get_position() for text in texts])
    assert torch.allclose(torch.pdist(points), torch.pdist(vectors), atol=1e-4)
    assert "100% of its variance" in figure.axes[0].get_title()


def test_a_picture_that_cannot_be_drawn_is_refused_by_its_name() -> None:
    model = GRU("ab", 4)
    with pytest.raises(UserError, match=r"what must be one of pairs, embedding, .*; got 'pears'"):
        draw(model, "pears")
    with pytest.raises(UserError, match="not loaded from a run, so curves cannot be drawn"):
        draw(model, "curves")


def test_labels_are_tokens_of_the_embedding_and_start_the_line_of_an_attention_map() -> None:
    vocabulary = {"characters": "ab", "labels": {"": 0, "Czech": 3, "Irish": 1}}
    names = [text.get_text() for text in draw_embedding(GRU(vocabulary, 4)).axes[0].texts]
    assert names == [".", "a", "b", "Czech", "Irish"]
    model = Transformer(vocabulary, 8, n_layer=1, n_head=1, n_embd=8).eval()
    axes = draw_attention(model, "ab").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["Czech", "a", "b"]
    weights = model.attention(torch.tensor([[3, 1, 2]]))[0, 0, 0]
    assert np.array_equal(axes.images[0].get_array(), weights.detach().numpy())  # type: ignore[arg-type]
    assert draw_attention(model).axes[0].get_xticklabels()[0].get_text() in ("Czech", "Irish")


def test_an_embedding_of_one_dimension_is_drawn_and_an_infinite_one_is_not() -> None:
    assert len(draw_embedding(GRU("ab", 4, n_embd=1)).axes[0].texts) == 3
    model = Bigram("ab", 4)
    with torch.no_grad():
        next(model.parameters())[0, 0] = -torch.inf
    with pytest.raises(UserError, match="Bigram has no embedding to draw"):
        draw_embedding(model)


def test_a_map_is_drawn_for_each_layer_and_head_with_the_characters_that_it_reads() -> None:
    figure = draw_attention(Transformer(" $a", 8, n_layer=2, n_head=3, n_embd=6), "a $")
    *maps, bar = figure.axes
    assert bar.get_ylabel() == "weight of a character read"
    assert [axes.get_title() for axes in maps] == [f"layer {i}, head {j}" for i in (1, 2) for j in (1, 2, 3)]
    for axes in maps:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [".", "a", "␣", "$"]


def test_the_sampled_line_of_a_model_that_hardly_ends_one_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Transformer("ab", 40, n_layer=1, n_head=1, n_embd=8).eval()
    step = model.step

    def never_end(token: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        logits, state = step(token, state)
        return logits.index_fill(1, torch.tensor([0]), -torch.inf), state

    monkeypatch.setattr(model, "step", never_end)
    assert len(draw_attention(model).axes[0].get_xticklabels()) == 25


def test_of_many_heads_the_first_ones_are_drawn() -> None:
    assert len(draw_attention(Transformer("a", 4, n_layer=3, n_head=4, n_embd=8)).axes[:-1]) == 6


@pytest.mark.parametrize("length", [4, 24])
def test_the_letters_of_many_heads_can_be_read_at_a_width_of_700_pixels(length: int) -> None:
    figure = draw_attention(Transformer("a", 32, n_layer=1, n_head=8, n_embd=8), "a" * length)
    (letter, *_) = figure.axes[0].get_xticklabels()
    assert float(letter.get_fontsize()) / 72 * 700 / figure.get_size_inches()[0] > 8  # pixels


@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {"Transformer", "Mixture"}))
def test_only_a_transformer_has_attention(architecture: str) -> None:
    with pytest.raises(UserError, match=f"{architecture} has no attention to draw"):
        draw_attention(ARCHITECTURES[architecture]("ab", 4), "ab")


def test_a_mixture_is_drawn_with_its_first_members_that_have_an_embedding_or_attention() -> None:
    mixture = Mixture("ab", 5, [{"architecture": "NGram"}, {"architecture": "GRU"}, {"architecture": "Transformer"}])
    _, gru, transformer = mixture.all_members()
    assert isinstance(gru, LanguageModel)
    assert isinstance(transformer, LanguageModel)
    drawn, expected = (draw_embedding(model).axes[0].texts for model in (mixture, gru))
    assert [text.get_position() for text in drawn] == [text.get_position() for text in expected]
    image, same = (draw_attention(model, "ab").axes[0].images for model in (mixture, transformer))
    assert np.array_equal(image[0].get_array(), same[0].get_array())  # type: ignore[arg-type]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_has_an_embedding_to_draw(architecture: str) -> None:
    model = ARCHITECTURES[architecture]("abc", 4)
    if architecture in ("BigramCounts", "NGram"):
        with pytest.raises(UserError, match="has no embedding to draw"):
            draw_embedding(model)
    else:
        assert len(draw_embedding(model).axes[0].texts) == 4

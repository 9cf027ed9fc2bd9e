"""The picture of a model's bigrams shows the model's own numbers."""

import io

import pytest
import torch

from sequentia.errors import UserError
from sequentia.heatmap import draw, next_probabilities
from sequentia.models import ARCHITECTURES, Bigram, LanguageModel
from sequentia.scoring import score


class Counted(Bigram):
    """A model with counts of pairs."""

    def __init__(self) -> None:
        super().__init__("ab", 4)
        self.register_buffer("counts", torch.tensor([[0, 3, 1], [2, 0, 12], [4, 5, 0]]))


def cells(model: LanguageModel) -> list[str]:
    """The cells' labels, row by row."""
    return [text.get_text() for text in draw(model).axes[0].texts]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_probabilities_are_those_of_scored_texts(architecture: str) -> None:
    torch.manual_seed(1)
    model = ARCHITECTURES[architecture]("abc", 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    table = next_probabilities(model)
    assert model.training
    for i, first in enumerate("abc", start=1):
        for j, second in enumerate("abc", start=1):
            (found,) = score(model, [first + second])
            expected = found.log_probs[:2].tolist()
            assert [float(table[0, i].log()), float(table[i, j].log())] == pytest.approx(expected, abs=1e-5)
    assert table.sum(1).tolist() == pytest.approx([1, 1, 1, 1])


def test_a_counted_bigram_shows_pairs_and_counts_the_boundary_first() -> None:
    assert cells(Counted()) == ["..\n0", ".a\n3", ".b\n1", "a.\n2", "aa\n0", "ab\n12", "b.\n4", "ba\n5", "bb\n0"]


def test_another_model_shows_pairs_and_probabilities() -> None:
    model = Bigram("a", 4)
    (table,) = model.parameters()
    with torch.no_grad():
        table.copy_(torch.tensor([[0.0, 1.0], [0.25, 0.75]]).log())
    assert cells(model) == ["..\n0.000", ".a\n1.000", "a.\n0.250", "aa\n0.750"]


def test_no_character_is_lost_or_taken_for_markup() -> None:
    figure = draw(Bigram("\t\x1b $\u200b\u3000中", 4))
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == 2 * [".", "\\t", "\\x1b", "␣", "$", "200B", "3000", "4E2D"]  # below and above
    figure.savefig(io.BytesIO())  # a warning of a missing glyph or an error in "$$" would be an error


def test_cells_of_a_large_vocabulary_have_no_labels() -> None:
    characters = "".join(map(chr, range(0x21, 0x21 + 64)))
    assert cells(Bigram(characters, 4)) == []
    assert len(cells(Bigram(characters[:63], 4))) == 64**2


def test_a_vocabulary_too_large_to_draw_is_refused() -> None:
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    with pytest.raises(UserError, match="a vocabulary of 501 is too large to draw: the most is 500"):
        draw(Bigram(characters, 4))
    width, height = draw(Bigram(characters[:499], 4)).get_size_inches()
    assert width == height < 40

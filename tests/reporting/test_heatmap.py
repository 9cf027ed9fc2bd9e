"""The heat map shows the model's own counts or probabilities."""

import io
import math

import pytest
import torch

from sequentia.errors import UserError
from sequentia.inference.scoring import score
from sequentia.models import ARCHITECTURES, GRU, Bigram, BigramCounts, LanguageModel
from sequentia.reporting.heatmap import draw, next_probabilities


def cells(model: LanguageModel) -> list[str]:
    """The labels of the cells, row by row."""
    return [text.get_text() for text in draw(model).axes[0].texts]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_probabilities_equal_those_of_score(architecture: str) -> None:
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


def test_the_counted_bigram_is_drawn_with_its_counts() -> None:
    model = BigramCounts("a", 4)
    model.counts.copy_(torch.tensor([[0, 3], [2, 7]]))
    assert cells(model) == ["0", "3", "2", "7"]


def test_another_model_is_labeled_with_its_probabilities() -> None:
    model = Bigram("a", 4)
    (table,) = model.parameters()
    with torch.no_grad():
        table.copy_(torch.tensor([[0.0, 1.0], [0.25, 0.75]]).log())
    assert cells(model) == [".000", "1.000", ".250", ".750"]


def test_a_model_of_lines_with_labels_has_a_row_for_any_start_and_for_the_start_of_each_label() -> None:
    model = BigramCounts({"characters": "a", "labels": {"": 1, "F": 2, "Male": 3}}, 4)
    model.counts.copy_(torch.tensor([[0, 1], [2, 7], [1, 1], [0, 3]]))
    assert cells(model) == ["1", "5", "2", "7", "1", "1", "0", "3"]
    assert [tick.get_text() for tick in draw(model).axes[0].get_yticklabels()] == [".", "a", "label F", "label Male"]
    torch.manual_seed(1)
    network = GRU({"characters": "a", "labels": {"": 1, "F": 2, "Male": 3}}, 4)
    expected = [score.log_probs[0] for label in (None, "F", "Male") for score in network.score(["a"], label)]
    found = [cells(network)[cell] for cell in (1, 5, 7)]
    assert found == [f"{math.exp(log_prob):.3f}".lstrip("0") for log_prob in expected]


def test_every_character_gets_a_visible_label() -> None:
    figure = draw(Bigram("\t\x1b $\u200b\u3000中", 4))
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == 2 * [".", "\\t", "\\x1b", "␣", "$", "200B", "3000", "4E2D"]  # below and above the cells
    figure.savefig(io.BytesIO())  # a missing glyph would be a warning, and "$" parsed as math an error


def test_cells_are_labeled_up_to_a_vocabulary_of_64() -> None:
    characters = "".join(map(chr, range(0x21, 0x21 + 64)))
    assert len(cells(Bigram(characters[:63], 4))) == 64**2
    assert cells(Bigram(characters, 4)) == []


def test_a_vocabulary_too_large_to_draw_is_refused() -> None:
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    with pytest.raises(UserError, match="a vocabulary of 501 is too large to draw: the limit is 500"):
        draw(Bigram(characters, 4))
    width, height = draw(Bigram(characters[:499], 4)).get_size_inches()
    assert width == height < 40

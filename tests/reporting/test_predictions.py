"""What is drawn of a model's predictions is what the model computes."""

from collections.abc import Callable

import pytest
import torch

from sequentia.data import CharDataModule
from sequentia.evaluation.evaluate import evaluate
from sequentia.models import ARCHITECTURES, GRU, LanguageModel, Transformer
from sequentia.reporting.predictions import Predictions, draw_attention, draw_calibration, draw_nll_by_position, predict
from sequentia.training.logs.overview import input_embedding
from tests.conftest import NAMES


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    data = CharDataModule(write(NAMES), write(["mila", "lia", "zoe"], "val.txt"), write(["ava"], "test.txt"))
    data.setup("fit")
    return data


def predictions(rows: list[tuple[int, float, float, bool]]) -> Predictions:
    """Of rows of position, NLL, confidence and whether it is correct."""
    position, nll, confidence, correct = zip(*rows, strict=True)
    return Predictions(torch.tensor(position), torch.tensor(nll), torch.tensor(confidence), torch.tensor(correct))


@pytest.mark.parametrize("architecture", ["GRU", "Transformer", "NGram"])
def test_predictions_have_the_nll_and_accuracy_of_an_evaluation(data: CharDataModule, architecture: str) -> None:
    torch.manual_seed(1)
    model = ARCHITECTURES[architecture].for_data(data)
    found = predict(model, data, data.split.val)
    expected = evaluate(model, data, "val", num_samples=0)
    assert float(found.nll.mean()) == pytest.approx(expected["val/loss"], abs=1e-6)
    assert float(found.correct.float().mean()) == pytest.approx(expected["val/accuracy"], abs=1e-6)
    assert sorted(found.position.tolist()) == sorted([0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 3])
    assert model.training


def test_of_many_lines_about_as_many_characters_as_needed_are_predicted(
    data: CharDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sequentia.reporting.predictions._CHARACTERS", 5)
    model = GRU.for_data(data)
    assert len(predict(model, data, data.split.val).nll) == 9  # "mila" and "zoe": 13 // 5 = every second line


def test_the_bars_are_the_mean_nll_of_each_position() -> None:
    figure = draw_nll_by_position(predictions([(0, 1.0, 0.5, True), (0, 3.0, 0.5, True), (1, 0.25, 0.5, True)]))
    (stairs,) = figure.axes[0].patches
    data = stairs.get_data()  # type: ignore[attr-defined]
    assert data.values.tolist() == [2.0, 0.25]
    assert data.edges.tolist() == [0.5, 1.5, 2.5]


def test_the_calibration_is_the_mean_confidence_and_accuracy_of_each_tenth() -> None:
    """Tenths without a prediction are left out; certainty is in the last."""
    figure = draw_calibration(
        predictions([(0, 1.0, 0.25, True), (0, 1.0, 0.27, False), (0, 1.0, 0.75, True), (0, 1.0, 1.0, True)])
    )
    diagonal, curve = figure.axes[0].lines
    assert [list(diagonal.get_xdata()), list(diagonal.get_ydata())] == [[0, 1], [0, 1]]  # type: ignore[arg-type]
    assert list(curve.get_xdata()) == pytest.approx([0.26, 0.75, 1.0])  # type: ignore[arg-type]
    assert list(curve.get_ydata()) == [0.5, 1.0, 1.0]  # type: ignore[arg-type]


def test_a_map_is_drawn_for_each_layer_and_head_with_the_characters_that_it_reads() -> None:
    figure = draw_attention(Transformer(" $a", 8, n_layer=2, n_head=3, n_embd=6), "a $")
    assert figure is not None
    assert [axes.get_title() for axes in figure.axes] == [f"layer {i}, head {j}" for i in (1, 2) for j in (1, 2, 3)]
    for axes in figure.axes:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [".", "a", "␣", "$"]


def test_of_many_heads_the_first_ones_are_drawn() -> None:
    figure = draw_attention(Transformer("a", 4, n_layer=3, n_head=4, n_embd=8), "a")
    assert figure is not None
    assert len(figure.axes) == 6


@pytest.mark.parametrize("architecture", sorted({*ARCHITECTURES} - {"Transformer", "Mixture"}))
def test_only_a_transformer_has_attention(architecture: str) -> None:
    assert draw_attention(ARCHITECTURES[architecture]("ab", 4), "ab") is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_input_embedding_has_a_vector_per_token(architecture: str) -> None:
    model: LanguageModel = ARCHITECTURES[architecture]("abc", 4)
    embedding = input_embedding(model)
    if embedding is None:
        assert architecture in ("BigramCounts", "NGram")
    else:
        assert embedding.shape[0] == 4
        assert any(embedding is weight for weight in model.parameters())

"""An evaluation gives the metrics that each part gives by itself, and every metric of the table."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from sequentia.data import CharDataModule
from sequentia.data.batches import make_batch
from sequentia.errors import UserError
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.evaluate import evaluate
from sequentia.evaluation.metrics import METRICS, HeldOut, Measurement
from sequentia.evaluation.samples import SampleQuality
from sequentia.inference.sampling import drafts
from sequentia.inference.scoring import score
from sequentia.models import GRU, LanguageModel, Mixture, Transformer
from tests.conftest import NAMES, bigram

HELD_OUT: dict[HeldOut, list[str]] = {"val": ["lia", "zoe", "amma"], "test": ["mila", "lola"]}


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    return CharDataModule(write(NAMES), write(HELD_OUT["val"], "val.txt"), write(HELD_OUT["test"], "test.txt"))


@pytest.fixture
def model(data: CharDataModule) -> LanguageModel:
    torch.manual_seed(0)
    return GRU(data.vocabulary.characters, data.context_length, n_hidden=8)


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_nll_is_the_mean_of_the_scores_per_character(
    model: LanguageModel, data: CharDataModule, split: HeldOut
) -> None:
    scores = list(score(model, HELD_OUT[split]))
    nll = sum(s.nll for s in scores) / sum(len(s.log_probs) for s in scores)
    for _ in range(2):  # a second evaluation starts anew
        found = evaluate(model, data, split, num_samples=0)
        assert found[f"{split}/loss"] == pytest.approx(nll, abs=1e-6)
    assert found[f"{split}/bits_per_char"] == pytest.approx(nll / math.log(2), abs=1e-6)
    assert found[f"{split}/perplexity"] == pytest.approx(math.exp(nll), abs=1e-5)
    assert found[f"{split}/lines"] == len(HELD_OUT[split])


def test_a_mixture_is_evaluated_without_a_trainer(data: CharDataModule) -> None:
    model = Mixture.for_data(data, members=[{"architecture": "GRU", "n_hidden": 8}])
    assert evaluate(model, data, "val", num_samples=0)["val/loss"] == pytest.approx(
        math.log(len(data.vocabulary)), abs=0.5
    )


def test_the_model_keeps_its_mode_and_trains_on(model: LanguageModel, data: CharDataModule) -> None:
    model.train()
    evaluate(model, data, num_samples=2)
    assert model.training
    batch = next(iter(data.train_dataloader()))
    model.test_step(batch)
    model.training_loss(batch).backward()


@torch.no_grad()
def test_the_accuracy_is_the_fraction_of_correct_predictions(model: LanguageModel, data: CharDataModule) -> None:
    model.eval()
    right = characters = 0
    for line in HELD_OUT["test"]:
        ids = torch.tensor([0, *model.vocabulary.encode(line).tolist(), 0])
        right += int((model(ids[None, :-1])[0].argmax(1) == ids[1:]).sum())
        characters += len(ids) - 1
    assert evaluate(model, data, num_samples=0)["test/accuracy"] == right / characters


def test_every_metric_of_the_table_is_measured_and_those_of_samples_are_of_the_lines_that_the_seed_gives(
    model: LanguageModel, data: CharDataModule
) -> None:
    texts = [sample.text for sample in drafts(model, 50, seed=4, max_length=model.context_length - 1)]
    samples = SampleQuality(texts, data, "test")
    found = evaluate(model, data, num_samples=50, seed=4, valid=lambda text: len(text) % 2)
    assert list(found) == [f"test/{name}" for name in METRICS if "label" not in name]
    expected = {f"test/baseline_{name}": nll for name, nll in baselines(data, "test").items()} | {
        "test/samples_unique": samples.unique,
        "test/samples_novel": 1 - samples.in_split("train"),
        "test/samples_in_test": samples.in_split("test"),
        "test/samples_near_copies": samples.near_copies,
        "test/samples_length_distance": samples.length_distance,
        "test/samples_bigram_divergence": samples.bigram_divergence,
        "test/samples_valid": sum(len(text) % 2 for text in texts) / 50,
        "test/samples_drawn": 50,
    }
    assert {name: found[name] for name in expected} == expected
    assert not [name for name in evaluate(model, data, num_samples=0) if "samples" in name]


def test_a_part_of_many_lines_is_enough_for_the_accuracy(model: LanguageModel, data: CharDataModule) -> None:
    batch = make_batch(data.corpus, np.tile(data.split.train, 5))
    assert len(batch.target) > 2
    for limit, every in ((10**6, 1), (6, 2)):  # the validation lines have 13 predicted characters
        measurement = Measurement(model, data, "val", accuracy_characters=limit)
        measurement.update(batch)
        assert measurement.accuracy.characters == (batch.target[::every] >= 0).sum()


def test_data_that_the_model_cannot_be_evaluated_on_are_refused(
    model: LanguageModel, data: CharDataModule, write: Callable[..., str]
) -> None:
    with pytest.raises(UserError, match="vocabulary"):
        evaluate(model, CharDataModule(write(["xyz", "zyx"], "other.txt")))
    with pytest.raises(UserError, match=r"only\.txt has no test lines"):
        evaluate(model, CharDataModule(write(NAMES, "only.txt"), test_fraction=0))
    short = Transformer(data.vocabulary.characters, data.context_length - 1, n_layer=1, n_embd=8, n_head=1)
    with pytest.raises(UserError, match="has lines of 8 characters, but the model reads at most 7"):
        evaluate(short, data)
    nan, ab = bigram([[float("nan")] * 3] * 3, "ab"), write(["ab", "ba"], "ab.txt")
    for num_samples in (0, 10):
        with pytest.raises(UserError, match="the model's probabilities are NaN"):
            evaluate(nan, CharDataModule(ab, test_path=ab), num_samples=num_samples)

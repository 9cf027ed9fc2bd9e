"""An evaluation without a Trainer gives the metrics that each part gives by itself."""

import math
from collections.abc import Callable

import pytest
import torch

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.evaluation import evaluate as module
from sequentia.evaluation.baselines import baselines
from sequentia.evaluation.evaluate import Split, evaluate
from sequentia.evaluation.samples import SampleQuality
from sequentia.inference.scoring import score
from sequentia.models import GRU, LanguageModel, Transformer
from tests.conftest import NAMES, bigram

HELD_OUT: dict[Split, list[str]] = {"val": ["lia", "zoe", "amma"], "test": ["mila", "lola"]}


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    return CharDataModule(write(NAMES), write(HELD_OUT["val"], "val.txt"), write(HELD_OUT["test"], "test.txt"))


@pytest.fixture
def model(data: CharDataModule) -> LanguageModel:
    torch.manual_seed(0)
    return GRU(data.vocabulary.characters, data.context_length, n_hidden=8)


@pytest.mark.parametrize("split", ["val", "test"])
def test_the_nll_is_the_mean_of_the_scores_per_character(
    model: LanguageModel, data: CharDataModule, split: Split
) -> None:
    scores = list(score(model, HELD_OUT[split]))
    nll = sum(s.nll for s in scores) / sum(len(s.log_probs) for s in scores)
    for _ in range(2):  # a second evaluation starts anew
        found = evaluate(model, data, split, num_samples=0)
        assert found[f"{split}/loss"] == pytest.approx(nll, abs=1e-6)
    assert found[f"{split}/bits_per_char"] == pytest.approx(nll / math.log(2), abs=1e-6)
    assert found[f"{split}/perplexity"] == pytest.approx(math.exp(nll), abs=1e-5)
    assert found[f"{split}/lines"] == len(HELD_OUT[split])


def test_the_model_keeps_its_mode_and_trains_on(model: LanguageModel, data: CharDataModule) -> None:
    model.train()
    evaluate(model, data, num_samples=2)
    assert model.training
    batch = next(iter(data.train_dataloader()))
    model.test_step(batch)
    model.training_loss(batch).backward()


@torch.no_grad()
def test_the_accuracy_is_the_share_of_characters_predicted_right(model: LanguageModel, data: CharDataModule) -> None:
    right = characters = 0
    for line in HELD_OUT["test"]:
        ids = torch.tensor([0, *model.vocabulary.encode(line).tolist(), 0])
        right += int((model(ids[None, :-1])[0].argmax(1) == ids[1:]).sum())
        characters += len(ids) - 1
    assert evaluate(model, data, num_samples=0)["test/accuracy"] == right / characters


def test_the_metrics_of_samples_are_those_of_the_lines_that_the_seed_gives(
    model: LanguageModel, data: CharDataModule
) -> None:
    texts = model.sample(50, seed=4, max_length=model.context_length - 1)
    expected = SampleQuality(data, "test")
    expected.update(texts)
    found = evaluate(model, data, num_samples=50, seed=4, valid=lambda text: len(text) % 2)
    for name, value in expected.compute().items():
        assert found.pop(f"test/samples_{name}") == float(value)
    assert found.pop("test/samples_valid") == sum(len(text) % 2 for text in texts) / 50
    assert found.pop("test/samples_drawn") == 50
    assert not [name for name in found if "samples" in name]


def test_baselines_are_counted_only_if_that_takes_seconds(
    model: LanguageModel, data: CharDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = baselines(data, "test")
    for ngram, bigrams, names in (
        (10**6, 10**7, ["uniform", "bigram_counts", "ngram"]),
        (1, 10**7, ["uniform", "bigram_counts"]),
        (1, 1, ["uniform"]),
    ):
        monkeypatch.setattr(module, "_NGRAM_CHARACTERS", ngram)
        monkeypatch.setattr(module, "BIGRAM_CHARACTERS", bigrams)
        found = evaluate(model, data, num_samples=0)
        prefix = "test/baseline_"
        baseline = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
        assert baseline == {name: expected[name] for name in names}


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
    with pytest.raises(UserError, match="NaN"):
        evaluate(nan, CharDataModule(ab, test_path=ab))


def test_a_function_that_fails_on_a_sample_is_reported_with_the_sample(
    model: LanguageModel, data: CharDataModule
) -> None:
    def broken(text: str) -> bool:
        raise KeyError("x")

    with pytest.raises(UserError, match=r"--valid: broken fails on '.*': KeyError: 'x'"):
        evaluate(model, data, num_samples=3, valid=broken)

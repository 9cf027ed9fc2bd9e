"""The NLLs of the baselines."""

import math
from collections import Counter
from collections.abc import Callable

import pytest
from lightning.pytorch import Trainer

from sequentia.data import CharDataModule
from sequentia.evaluation import baselines as module
from sequentia.evaluation.baselines import baselines
from sequentia.models import NGram
from tests.conftest import NAMES


@pytest.fixture
def data(write: Callable[..., str]) -> CharDataModule:
    return CharDataModule(write(NAMES), write(["lia", "zoe", "amma"], "val.txt"), write(["mila"], "test.txt"))


@pytest.mark.parametrize("split", ["val", "test"])
def test_bigram_counts_are_laplace_smoothed_counts_of_the_training_lines(data: CharDataModule, split: str) -> None:
    def pairs(lines: list[str]) -> list[tuple[str, str]]:
        return [pair for line in lines for pair in zip(f".{line}", f"{line}.", strict=True)]

    counts, firsts = Counter(pairs(NAMES)), Counter(a for a, _ in pairs(NAMES))
    held_out = pairs(["lia", "zoe", "amma"] if split == "val" else ["mila"])
    V = len(data.vocabulary)
    nll = [-math.log((counts[a, b] + 1) / (firsts[a] + V)) for a, b in held_out]
    found = baselines(data, split)  # type: ignore[arg-type]
    assert found["bigram_counts"] == pytest.approx(sum(nll) / len(nll), abs=1e-6)
    assert found["uniform"] == math.log(V)
    assert set(found) == {"uniform", "bigram_counts", "ngram"}


@pytest.mark.filterwarnings("default")  # a whole run, in which Lightning triggers warnings
def test_the_ngram_is_that_of_a_run(data: CharDataModule) -> None:
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", max_epochs=1, enable_model_summary=False, **options)
    model = NGram(data.vocabulary.characters, data.context_length)
    trainer.fit(model, data)
    assert baselines(data, "val")["ngram"] == pytest.approx(float(trainer.callback_metrics["val/loss"]), abs=1e-6)


def test_baselines_are_counted_only_if_that_takes_seconds_and_fits_into_memory(
    data: CharDataModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value, names in (
        ("_NGRAM_CHARACTERS", 1, {"uniform", "bigram_counts"}),
        ("_BIGRAM_CHARACTERS", 1, {"uniform", "ngram"}),
        ("_TABLE", len(data.vocabulary) ** 2 - 1, {"uniform", "ngram"}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, value)
            assert set(baselines(data, "val")) == names

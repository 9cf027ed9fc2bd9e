import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sequentia.cli import main
from sequentia.models import BigramCounts
from sequentia.runs.checkpoint import read_checkpoint
from tests.conftest import NAMES


def test_without_smoothing_an_unseen_validation_pair_gives_an_infinite_loss_and_no_error(
    write: Callable[..., str], tmp_path: Path
) -> None:
    arguments = ["--model", "BigramCounts", "--model.smoothing", "0", "--data.path", write(NAMES)]
    arguments += ["--data.val_path", write(["ooze"], "val.txt"), "--trainer.default_root_dir", str(tmp_path)]
    assert main(["fit", *arguments, "--trainer.accelerator", "cpu"]) == 0
    best = read_checkpoint(tmp_path / "version_0" / "best.ckpt")
    (callback,) = (state for name, state in best["callbacks"].items() if "BestCheckpoint" in name)
    assert float(callback["best_model_score"]) == math.inf


@pytest.fixture
def counted() -> BigramCounts:
    """A model of "ab" that never counted the token b (row 2)."""
    model = BigramCounts("ab", 4, smoothing=0.0)
    model.counts.copy_(torch.tensor([[1, 2, 0], [3, 0, 1], [0, 0, 0]]))
    return model


def log_probs(model: BigramCounts) -> Tensor:
    return model(torch.arange(3)[None])[0].double().log_softmax(1)


@pytest.mark.parametrize("smoothing", [0.5, 1.0, 10.0])
def test_smoothing_is_added_to_every_count(counted: BigramCounts, smoothing: float) -> None:
    counted.smoothing = smoothing
    k = Fraction(smoothing)
    expected = [[float((n + k) / (sum(row) + 3 * k)) for n in row] for row in counted.counts.tolist()]
    torch.testing.assert_close(
        log_probs(counted).exp(), torch.tensor(expected, dtype=torch.float64), atol=1e-7, rtol=1e-6
    )


def test_without_smoothing_an_unseen_pair_has_probability_0_and_an_unseen_row_is_uniform(counted: BigramCounts) -> None:
    expected = torch.tensor([[1 / 3, 2 / 3, 0], [3 / 4, 0, 1 / 4], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64)
    found = log_probs(counted)
    torch.testing.assert_close(found.exp(), expected, atol=1e-7, rtol=1e-6)
    assert found[0, 2] == -math.inf
    assert not found.isnan().any()
    assert set("".join(counted.sample(200, seed=1))) == {"a", "b"}

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sequentia.cli import main
from sequentia.errors import UserError
from sequentia.models import BigramCounts
from sequentia.runs.checkpoint import load, read_checkpoint

LINES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "zoe", "li", "o"]


def brute_force(lines: list[str]) -> dict[str, int]:
    """Number of occurrences of each pair; the boundary is shown as `.`."""
    pairs: dict[str, int] = {}
    for line in lines:
        text = f".{line}."
        for i in range(len(text) - 1):
            pairs[text[i : i + 2]] = pairs.get(text[i : i + 2], 0) + 1
    return pairs


def as_pairs(model: BigramCounts) -> dict[str, int]:
    """The model's counts in the form of `brute_force`."""
    names, counts = "." + model.vocabulary.characters, model.counts
    return {names[i] + names[j]: int(counts[i, j]) for i, j in counts.nonzero().tolist()}


@pytest.fixture
def fit(write: Callable[..., str], tmp_path: Path) -> Callable[..., BigramCounts]:
    """Run `sequentia fit` on LINES in batches of three; returns the model of last.ckpt."""

    def fit(*options: str, lines: list[str] = LINES, expect: int = 0) -> BigramCounts:
        arguments = ["--model", "BigramCounts", "--data.path", write(lines), "--data.batch_size", "3"]
        arguments += ["--data.val_fraction", "0", "--data.test_fraction", "0", "--trainer.accelerator", "cpu"]
        arguments += ["--trainer.max_epochs", "1", "--trainer.default_root_dir", str(tmp_path / "runs"), *options]
        assert main(["fit", *arguments]) == expect
        newest = max((tmp_path / "runs").glob("version_*/last.ckpt"))
        model = load(newest)
        assert isinstance(model, BigramCounts)
        return model

    return fit


def test_an_epoch_counts_every_pair_once(fit: Callable[..., BigramCounts], tmp_path: Path) -> None:
    assert as_pairs(fit()) == brute_force(LINES)
    run = tmp_path / "runs" / "version_0"
    best = load(run / "best.ckpt")
    assert isinstance(best, BigramCounts)
    assert as_pairs(best) == brute_force(LINES)
    assert read_checkpoint(run / "last.ckpt")["global_step"] == 4  # batches


def test_further_epochs_count_nothing(fit: Callable[..., BigramCounts], tmp_path: Path) -> None:
    assert as_pairs(fit("--trainer.max_epochs", "3")) == brute_force(LINES)
    assert as_pairs(fit("--trainer.max_epochs", "5", "--ckpt_path", "last")) == brute_force(LINES)


def test_max_steps_is_the_number_of_batches_counted(fit: Callable[..., BigramCounts]) -> None:
    model = fit("--trainer.max_steps", "2")
    lines_counted = int(model.counts[:, 0].sum())  # each line ends once
    assert lines_counted == 6


def test_an_interrupted_and_resumed_epoch_counts_every_pair_once(
    fit: Callable[..., BigramCounts], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = BigramCounts.training_step

    def killed(self: BigramCounts, batch: object) -> None:
        if self.trainer.global_step == 3:
            raise ZeroDivisionError
        step(self, batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(BigramCounts, "training_step", killed)
        with pytest.raises(ZeroDivisionError):
            fit("--checkpoint.every_n_train_steps", "2")
    resumed = fit("--checkpoint.every_n_train_steps", "2", "--ckpt_path", "last")
    assert as_pairs(resumed) == brute_force(LINES)


def test_the_logged_training_loss_is_the_nll_of_the_counted_lines(
    fit: Callable[..., BigramCounts], tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = fit("--model.smoothing", "0.5")
    pairs, V = brute_force(LINES), len(model.vocabulary)
    first = {a: sum(n for pair, n in pairs.items() if pair[0] == a) for a in {pair[0] for pair in pairs}}
    nll = -sum(n * math.log((n + 0.5) / (first[pair[0]] + 0.5 * V)) for pair, n in pairs.items()) / sum(pairs.values())
    assert float(model.mean_nll()) == pytest.approx(nll, rel=1e-6)
    events = EventAccumulator(str(tmp_path / "runs" / "version_0"))
    events.Reload()
    (logged,) = events.Scalars("train/loss")
    assert logged.value == pytest.approx(nll, rel=1e-6)


def test_without_smoothing_an_unseen_validation_pair_gives_an_infinite_loss_and_no_error(
    fit: Callable[..., BigramCounts], write: Callable[..., str], tmp_path: Path
) -> None:
    fit("--model.smoothing", "0", "--data.val_path", write(["ooze"], "val.txt"))
    best = read_checkpoint(tmp_path / "runs" / "version_0" / "best.ckpt")
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


def test_a_pair_of_probability_0_is_never_sampled(counted: BigramCounts) -> None:
    counted.counts[2, 0] = 1
    for text in counted.sample(500, seed=1):
        assert set(brute_force([text])) <= {"..", ".a", "a.", "ab", "b."}


@pytest.mark.parametrize("smoothing", [-1.0, math.nan, math.inf])
def test_a_negative_infinite_or_nan_smoothing_raises(smoothing: float) -> None:
    with pytest.raises(UserError, match=r"smoothing must be finite and at least 0"):
        BigramCounts("ab", 4, smoothing=smoothing)

"""Logging of the training steps."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.data import CharDataModule
from sequentia.models import Bigram
from sequentia.runs.history import read_history
from sequentia.training.logs.curves import Curves
from sequentia.training.loop.length import logging_interval, validation_interval
from tests.training.runs import (
    LINES,
    RATE,
    SPEEDS,
    ForkServer,
    Uninterrupted,
    arguments,
    curves,
    same_checkpoints,
    the_run,
)


def characters_of_steps(cwd: Path, steps: int) -> list[int]:
    """Number of predicted characters of each step."""
    loader = CharDataModule(str(cwd / "lines.txt"), batch_size=16).train_dataloader()
    found: list[int] = []
    loader.progress = lambda: (len(found) // len(loader), 0)
    while len(found) < steps:
        found += [int(batch.total) for batch in loader]
    return found[:steps]


def test_a_point_is_the_mean_of_the_steps_since_the_last_one_weighted_by_characters(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    """Also of the last point, and if the run is killed between two points."""
    whole, killed = uninterrupted.workdir("rarely logged"), uninterrupted.workdir("rarely logged, killed")
    options = [*arguments("every 5 steps"), "--trainer.log_every_n_steps", "15"]
    assert fit(whole, options) == 0
    assert fit(killed, options, {"call": "on_train_batch_end", "count": 24}) == -9
    assert fit(killed, [*options, "--ckpt_path", "last"]) == 0
    each = [loss for _, loss in curves(uninterrupted("every 5 steps"))["train/loss"]]
    weights = characters_of_steps(whole, 40)
    assert len(set(weights)) > 3
    for run in (the_run(whole), the_run(killed)):
        found = curves(run)
        assert [step for step, _ in found["train/loss"]] == [14, 29, 39]
        for (_, loss), (start, end) in zip(found["train/loss"], ((0, 15), (15, 30), (30, 40)), strict=True):
            total = sum(weights[i] * each[i] for i in range(start, end))
            assert loss == pytest.approx(total / sum(weights[start:end]), abs=1e-6)
        rates = dict(curves(uninterrupted("every 5 steps"))[RATE])
        assert found[RATE] == [(step, rates[step]) for step in (14, 29, 39)]
        seconds = [value for _, value in found["vitals/seconds"]]
        assert 0 < seconds[0] < seconds[1] < seconds[2]
    assert curves(the_run(whole))["train/loss"] == curves(the_run(killed))["train/loss"]
    same_checkpoints(the_run(whole) / "last.ckpt", the_run(killed) / "last.ckpt")


def test_the_seconds_of_a_resumed_run_continue_those_that_are_recorded(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    cwd = uninterrupted.workdir("seconds")
    options = [*arguments("every 5 steps"), "--trainer.log_every_n_steps", "10"]
    assert fit(cwd, options, {"call": "on_train_batch_end", "count": 28}) == -9
    path = the_run(cwd) / "metrics.csv"
    before = list(read_history(path.parent)["vitals/seconds"].values())
    assert len(before) == 2
    path.write_text(path.read_text().replace(f"{before[1]:.9g}", "5000"))
    assert fit(cwd, [*options, "--ckpt_path", "last"]) == 0
    seconds = list(read_history(path.parent)["vitals/seconds"].values())
    assert seconds[:2] == [before[0], 5000]
    assert 5000 < seconds[2] < seconds[3] < 5100


@pytest.fixture
def fit_plainly(write: Callable[..., str], tmp_path: Path) -> Callable[..., Trainer]:
    """Train a Bigram under a plain Trainer with callbacks."""

    def fit(*callbacks: Callback, **options: object) -> Trainer:
        data = CharDataModule(write(LINES), batch_size=64, val_fraction=0, test_fraction=0)
        trainer = Trainer(
            accelerator="cpu",
            logger=False,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **{"max_steps": 4, "log_every_n_steps": 2} | options,
        )
        trainer.fit(Bigram(data.vocabulary.characters, data.context_length), data)
        return trainer

    return fit


@pytest.mark.filterwarnings("default")  # a whole run, in which Lightning triggers warnings
def test_the_gradient_norm_is_that_of_all_gradients_before_clipping(fit_plainly: Callable[..., Trainer]) -> None:
    class Norms(Callback):
        found: list[float] = []  # noqa: RUF012

        def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
            gradients = [p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]
            self.found.append(float(torch.cat(gradients).norm()))

    trainer = fit_plainly(norms := Norms(), Curves(), gradient_clip_val=1e-6)
    assert float(trainer.callback_metrics["vitals/grad_norm"]) == pytest.approx(norms.found[-1], rel=1e-6)
    assert norms.found[-1] > 1e-3


@pytest.mark.filterwarnings("default")
def test_a_plain_trainer_logs_the_loss_of_a_step(fit_plainly: Callable[..., Trainer]) -> None:
    metrics = fit_plainly().callback_metrics
    assert set(metrics) == {"train/loss"}
    assert 0 < metrics["train/loss"] < 4


def test_without_extra_metrics_only_the_losses_are_logged(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("losses only")
    assert fit(cwd, [*arguments("every 5 steps"), "--extra_metrics", "false"]) == 0
    found, expected = curves(the_run(cwd)), curves(uninterrupted("every 5 steps"))
    losses = {"loss", "train/loss", "val/loss", "val/bits_per_char", "val/perplexity"}
    assert found.keys() == losses
    assert "samples" not in (cwd / "log").read_text()
    assert {RATE, "vitals/lr_hidden", "vitals/lr_vectors", "vitals/grad_norm"} | SPEEDS | losses <= expected.keys()
    assert all(found[tag] == expected[tag] for tag in found)


@pytest.mark.parametrize("steps", [*range(1, 400), 1_000, 2_800, 10_000, 10**6])
def test_every_run_has_60_points_and_4_validations_if_it_has_so_many_steps(steps: int) -> None:
    points, validations = (-(-steps // interval(steps)) for interval in (logging_interval, validation_interval))
    assert points >= min(60, steps)
    assert min(4, steps) <= validations <= 21
    assert validation_interval(steps) % logging_interval(steps) == 0

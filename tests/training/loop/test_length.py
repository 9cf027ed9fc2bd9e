"""The length of a run follows from its data unless it is given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import Namespace

from sequentia.cli import main
from sequentia.data import CharDataModule
from sequentia.models import Bigram
from sequentia.training.loop.length import default_steps, set_length, validation_interval
from tests.training.runs import LINES, RATE, curves


def run(path: str, root: Path, *options: str) -> tuple[dict[str, Any], list[int]]:
    """The trainer options in a run's config.yaml, and the steps after which it was validated."""
    common = ["--model", "Bigram", "--optimizer", "SGD", "--optimizer.lr", "1", "--data.path", path]
    trainer = ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(root)]
    assert main(["fit", *common, *trainer, *options]) == 0
    config = yaml.safe_load((root / "version_0" / "config.yaml").read_text())
    return config["trainer"], [step + 1 for step, _ in curves(root / "version_0")["val/loss"]]


def unset(**options: Any) -> Namespace:
    """Options of a Trainer whose length is not given."""
    length: dict[str, Any] = {"max_steps": -1, "overfit_batches": 0.0}
    length |= dict.fromkeys(("max_epochs", "max_time", "log_every_n_steps", "limit_train_batches"))
    length |= dict.fromkeys(("val_check_interval", "check_val_every_n_epoch"))
    processes = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "accumulate_grad_batches": 1}
    return Namespace(length | processes | options)


def test_the_packaged_names_get_the_longest_run() -> None:
    assert default_steps(182_000, 101) == 2_800
    assert default_steps(182_000_000, 101_000) == 2_800


def test_a_sixteenth_of_the_data_gets_half_as_many_epochs() -> None:
    whole, sixteenth = default_steps(160_000, 80), default_steps(10_000, 5)
    assert (whole / 80, sixteenth / 5) == (28, 14)


def test_validations_take_at_most_a_twentieth_of_the_training_or_as_four_a_quarter() -> None:
    # The packaged names: 23,000 characters to validate, steps of 1,800; a fourteenth of the run is longer.
    assert validation_interval(2_800, 23_000 / 1_800 / 3) == 200
    # As long as 23.4 steps: once in 468; each 20th is a point.
    assert validation_interval(2_800, 23.4) == 460
    # A quarter of the 2,800 steps is four times 175.
    assert validation_interval(2_800, 170) == 700 == 2_800 // 4
    assert validation_interval(2_800, 300) == 1_200
    # Only the last step, which is validated anyway.
    assert validation_interval(2_800, 400) == 2_800


def test_a_run_has_the_default_length_and_logs_it(
    write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 250 lines all for training, in batches of 16.
    characters = sum(len(line) + 1 for line in LINES)
    held_out = ["--data.test_fraction=0", "--data.val_path", write(["ab", "ba"], "val.txt")]
    path = write(LINES)
    trainer, validated = run(path, tmp_path, "--data.batch_size=16", *held_out)
    steps = default_steps(characters, 16)
    assert trainer["max_steps"] == steps == validated[-1]
    interval = validation_interval(steps)
    assert validated[:-1] == list(range(interval, steps, interval))
    assert len(validated) >= 4
    assert trainer["log_every_n_steps"] == steps // 60
    assert f"training for {steps} steps ({steps / 16:.3g} epochs)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "epochs", "interval"), [([], 3, 3), ([], 4, 5), (["--trainer.val_check_interval=1.0"], 3, 5)]
)
def test_a_run_of_four_epochs_is_validated_after_each_a_shorter_one_more_often(
    options: list[str],
    epochs: int,
    interval: int,
    write: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It logs how to resume it in epochs."""
    given = [f"--trainer.max_epochs={epochs}", "--data.batch_size=50", "--data.val_path", write(["ab"], "val.txt")]
    trainer, validated = run(write(LINES), tmp_path, *given, *options)
    assert trainer["max_steps"] == -1
    assert validated == list(range(interval, 5 * epochs + 1, interval))
    err = capsys.readouterr().err
    assert f"training for {5 * epochs} steps ({epochs} epochs); --trainer.max_epochs changes the length" in err
    assert err.rstrip().endswith(f"version_0 --trainer.max_epochs {2 * epochs}")


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ("max_steps=1", "1 step (0.0625 epochs); --trainer.max_steps changes the length"),
        ("max_steps=24 max_epochs=1", "16 steps (1 epoch); --trainer.max_epochs changes the length"),
        ("max_steps=20 limit_train_batches=0.5", "20 steps (2.5 epochs); --trainer.max_steps changes the length"),
    ],
)
def test_the_length_is_logged_in_steps_and_in_epochs(
    options: str, length: str, write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data.batch_size=16", "--data.test_fraction=0", "--data.val_path", write(["ab", "ba"], "val.txt")]
    run(write(LINES), tmp_path, *given, *(f"--trainer.{option}" for option in options.split()))
    assert f"training for {length}" in capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("options", "batches", "steps_per_epoch"),
    [({"accumulate_grad_batches": 6}, 16, 3), ({"accumulate_grad_batches": 64}, 16, 1), ({"devices": 2}, 8, 8)],
)
def test_accumulation_and_more_processes_shorten_the_run_like_the_epoch(
    options: dict[str, int], batches: int, steps_per_epoch: int, write: Callable[..., str]
) -> None:
    # 250 lines in batches of 16; the last accumulated batches of an epoch also make a step.
    data = CharDataModule(write(LINES), val_path=write(["ab"], "val.txt"), batch_size=16)
    trainer, recorded = unset(**options), Namespace()
    assert not set_length(trainer, recorded, data, Bigram.for_data(data))
    assert trainer.max_steps == default_steps(sum(len(line) + 1 for line in LINES), steps_per_epoch)
    epochs, rest = divmod(validation_interval(trainer.max_steps), steps_per_epoch)
    assert trainer.val_check_interval == epochs * batches + rest * trainer.accumulate_grad_batches
    assert (recorded.max_steps, recorded.val_check_interval) == (trainer.max_steps, trainer.val_check_interval)


def test_a_schedule_that_monitors_a_metric_gets_it_after_each_epoch(write: Callable[..., str], tmp_path: Path) -> None:
    schedule = ["--lr_scheduler", "ReduceLROnPlateau", "--lr_scheduler.patience=0", "--lr_scheduler.threshold=9"]
    given = ["--lr_scheduler.monitor=val/perplexity", "--trainer.max_steps=20", "--trainer.log_every_n_steps=1"]
    _, validated = run(write(LINES), tmp_path, "--data.batch_size=50", *schedule, *given)
    epoch = validated[0]
    assert validated == list(range(epoch, 21, epoch))
    # No perplexity improves by 900%, so each epoch lowers the rate.
    lr = [rate for _, rate in curves(tmp_path / "version_0")[RATE]]
    assert lr == pytest.approx([0.1 ** (i // epoch) for i in range(20)])


def test_a_progress_bar_of_lightning_replaces_ours(
    write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(write(LINES), tmp_path, "--trainer.max_steps=2", "--trainer.callbacks=TQDMProgressBar")
    out, err = capsys.readouterr()
    assert "Epoch 0:" in out + err
    assert "step 2  train/loss" not in err  # what our own bar prints


def test_a_run_without_logging_trains(write: Callable[..., str], tmp_path: Path) -> None:
    run(write(LINES), tmp_path, "--trainer.max_steps=5", "--trainer.log_every_n_steps=0")
    assert "train/loss" not in curves(tmp_path / "version_0")


def test_overfit_batches_repeats_the_same_batches_in_each_epoch(write: Callable[..., str], tmp_path: Path) -> None:
    given = ["--data.batch_size=10", "--trainer.overfit_batches=1", "--trainer.max_steps=3", "--optimizer.lr=1e-9"]
    run(write(LINES), tmp_path, *given, "--lr_scheduler=null", "--trainer.log_every_n_steps=1")
    losses = [loss for _, loss in curves(tmp_path / "version_0")["train/loss"]]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)

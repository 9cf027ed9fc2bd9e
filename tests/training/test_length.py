"""A run is as long as its data bears, unless told."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sequentia.cli import main
from sequentia.training.length import usual_steps
from tests.training.runs import LINES, curves


def run(path: str, root: Path, *options: str) -> tuple[dict[str, Any], list[int]]:
    """The trainer's part of a run's config.yaml, and the steps after which it was validated."""
    common = ["--model", "Bigram", "--optimizer", "SGD", "--optimizer.lr", "1", "--data.path", path]
    trainer = ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", str(root)]
    assert main(["fit", *common, *trainer, *options]) == 0
    config = yaml.safe_load((root / "version_0" / "config.yaml").read_text())
    return config["trainer"], [step + 1 for step, _ in curves(root / "version_0")["val/loss"]]


def test_the_packaged_names_get_the_longest_run() -> None:
    assert usual_steps(182_000, 101) == 2_800
    assert usual_steps(182_000_000, 101_000) == 2_800


def test_a_sixteenth_of_the_data_gets_half_as_many_epochs() -> None:
    whole, sixteenth = usual_steps(160_000, 80), usual_steps(10_000, 5)
    assert (whole / 80, sixteenth / 5) == (28, 14)


def test_a_run_is_as_long_as_the_rule_says_and_tells_it(
    write: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 250 lines all for training, in batches of 16.
    characters = sum(len(line) + 1 for line in LINES)
    held_out = ["--data.test_fraction=0", "--data.val_path", write(["ab", "ba"], "val.txt")]
    path = write(LINES)
    trainer, validated = run(path, tmp_path, "--data.batch_size=16", *held_out)
    steps = usual_steps(characters, 16)
    assert trainer["max_steps"] == steps == validated[-1]
    assert validated[:-1] == list(range(20, steps, 20))
    assert f"{steps} steps, {steps / 16:.3g} times through the training lines" in capsys.readouterr().err


def test_a_given_length_and_interval_win(write: Callable[..., str], tmp_path: Path) -> None:
    trainer, validated = run(write(LINES), tmp_path, "--trainer.max_steps=31", "--trainer.val_check_interval=7")
    assert trainer["max_steps"] == 31
    assert validated == [7, 14, 21, 28, 31]


def test_gathered_gradients_make_fewer_steps_of_the_same_data(write: Callable[..., str], tmp_path: Path) -> None:
    # 32 batches, 8 steps an epoch.
    given = ["--data.batch_size=8", "--data.val_path", write(["ab"], "val.txt")]
    trainer, validated = run(write(LINES), tmp_path, "--trainer.accumulate_grad_batches=4", *given)
    alone, _ = run(write(LINES), tmp_path / "alone", *given)
    assert trainer["max_steps"] == math.ceil(alone["max_steps"] / 4)
    assert validated[0] == 20  # steps, not batches


@pytest.mark.parametrize("options", [[], ["--trainer.val_check_interval=1.0"]])
def test_a_run_by_epochs_is_validated_after_each(options: list[str], write: Callable[..., str], tmp_path: Path) -> None:
    given = ["--trainer.max_epochs=3", "--data.batch_size=50", "--data.val_path", write(["ab"], "val.txt"), *options]
    trainer, validated = run(write(LINES), tmp_path, *given)
    assert trainer["max_steps"] == -1
    assert validated == [5, 10, 15]

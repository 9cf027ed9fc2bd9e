"""`trainer.max_time` without a length becomes a number of steps; a fake clock stands still but for the model's work."""

import math
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sequentia.cli import main
from sequentia.models import LanguageModel
from sequentia.training.loop import budget
from sequentia.training.loop.budget import Cost, parse_time, steps_within
from sequentia.training.loop.length import best_steps
from tests.training.runs import COMMON, CONFIGS, LINES, same_runs

STEP, VALIDATION = 0.25, 0.5  # seconds of the fake clock


class Clock:
    """A clock that only the tests advance."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the budget, on which a batch of training and one of validation take `STEP` and `VALIDATION`."""
    clock, nll_sum = Clock(), LanguageModel.nll_sum

    def timed(self: LanguageModel, batch: Any) -> torch.Tensor:
        clock.now += STEP if self.training else VALIDATION
        return nll_sum(self, batch)

    monkeypatch.setattr(LanguageModel, "nll_sum", timed)
    monkeypatch.setattr("sequentia.training.loop.budget.monotonic", clock)
    monkeypatch.setattr("sequentia.commands.fit.monotonic", clock)
    return clock


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `sequentia fit` with a small Transformer on LINES; returns the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(budget, "_PICTURES", 0.0)
    Path("lines.txt").write_text("\n".join(LINES))

    def fit(*options: str, config: str = "transformer", common: str = COMMON) -> int:
        return main(["fit", "--config", str(CONFIGS / f"{config}.yaml"), *common.split(), *options])

    return fit


def trainer_options(run: Path) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text())["trainer"]
    return options


@pytest.mark.parametrize("interval", [1, 4, 20, math.inf])
def test_the_steps_fit_and_one_more_would_not(interval: float) -> None:
    numbers = random.Random(0)
    for _ in range(200):
        step, validation, seconds = (numbers.randrange(1, 2**most) / 16 for most in (4, 8, 14))

        def taken(steps: int, step: float = step, validation: float = validation) -> float:
            return steps * step + math.ceil(steps / interval if interval < math.inf else 1) * validation

        steps = steps_within(seconds, Cost(0.0, step, validation), interval)
        assert steps == 0 or taken(steps) <= seconds
        assert taken(steps + 1) > seconds


def test_a_run_takes_the_given_time_and_records_its_length(
    fit: Callable[..., int], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("--trainer.max_time=00:00:20") == 0
    # Two trials take 1 and 13 steps and four validations: 5.5 seconds. The process itself takes half a second. In
    # the 14 seconds that are left, 40 steps and a validation after every fifth fit.
    assert clock.now == 1000 + 20 - 0.5
    options = trainer_options(Path("checkpoints/transformer/version_0"))
    assert (options["max_steps"], options["max_time"]) == (40, None)
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("trainer.max_time 0:00:20 allows 40 steps")]) == 1
    assert [path.name for path in Path("checkpoints/transformer").iterdir()] == ["version_0"]


def test_a_trial_logs_nothing_that_the_run_will_log(
    fit: Callable[..., int], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    members = "--model.members=[{architecture: GRU, n_hidden: 8}, {architecture: NGram}]"
    common = "--data.path lines.txt --data.batch_size 16 --trainer.accelerator cpu"
    assert fit("--trainer.max_time=00:00:20", members, config="mixture", common=common) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if line.startswith("n-gram order ")]) == 1


def test_measuring_changes_no_bit_of_the_run(fit: Callable[..., int], clock: Clock) -> None:
    assert fit("--trainer.max_time=00:00:20") == 0
    assert fit("--trainer.max_steps=40") == 0
    timed, by_hand = (Path(f"checkpoints/transformer/version_{i}") for i in range(2))
    same_runs(timed, by_hand)
    # Resuming depends on nothing but this file and the checkpoint.
    assert (timed / "config.yaml").read_text() == (by_hand / "config.yaml").read_text()


def test_a_run_is_never_longer_than_its_data_allow(
    fit: Callable[..., int], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = "--data.val_fraction=0", "--data.test_fraction=0"
    assert fit("--trainer.max_time=00:10:00", *nothing) == 0
    best = best_steps(sum(len(line) + 1 for line in LINES), math.ceil(250 / 16))
    assert trainer_options(Path("checkpoints/transformer/version_0"))["max_steps"] == best
    assert f"; more than {best:,} would overfit 250 lines: --trainer.max_steps overrides\n" in capsys.readouterr().err
    assert clock.now < 1000 + 600


@pytest.mark.parametrize(
    ("options", "seconds"), [((), 9), (("--extra_metrics=false",), 6), (("--trainer.logger=false",), 6)]
)
def test_a_time_limit_leaves_time_to_draw_the_model_if_it_is_drawn(
    fit: Callable[..., int],
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    seconds: int,
) -> None:
    monkeypatch.setattr(budget, "_PICTURES", 3.0)
    assert fit("--trainer.max_time=00:00:04", *options) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"one step and one validation take {seconds} seconds")


def test_a_time_too_short_for_one_step_is_refused(
    fit: Callable[..., int], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("--trainer.max_time=00:00:04") == 2
    # 4.5 seconds for both trials, half a second for the process, 0.75 for a step and a validation.
    assert capsys.readouterr().err.splitlines()[-1] == (
        "sequentia: trainer.max_time 0:00:04 is too short: start-up, one step and one validation take 6 seconds"
    )
    assert not Path("checkpoints").exists()


@pytest.mark.parametrize("time", ["abc", "10", "1:00", "00:10", "{minutes: 10}", "00:10:00:", "-00:10:00"])
@pytest.mark.parametrize("length", [[], ["--trainer.max_steps=5"]])
def test_what_is_no_time_is_refused_in_one_line(
    time: str, length: list[str], fit: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(f"--trainer.max_time={time}", *length) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" is not a time: give HH:MM:SS, such as 00:10:00 (ten minutes)")


def test_days_may_be_omitted() -> None:
    assert parse_time("00:10:00") == parse_time("00:00:10:00") == timedelta(minutes=10)
    assert parse_time("01:00:00:01") == timedelta(days=1, seconds=1)


def test_several_processes_need_a_length(fit: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("--trainer.max_time=00:10:00", "--trainer.devices=2") == 2
    assert capsys.readouterr().err == (
        "sequentia: trainer.max_time decides the length of a run in one process only: give --trainer.max_steps too, "
        "and max_time stops the run if it takes longer\n"
    )


@pytest.mark.parametrize("length", [("max_steps", 5), ("max_epochs", 1)])
def test_with_a_length_max_time_only_stops_the_run(
    length: tuple[str, int], fit: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "Trial", None)  # nothing is measured
    option, value = length
    assert fit("--trainer.max_time=00:10:00", f"--trainer.{option}={value}") == 0
    options = trainer_options(Path("checkpoints/transformer/version_0"))
    assert (options[option], options["max_time"]) == (value, "00:10:00")


def test_a_model_that_counts_is_not_measured(fit: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "Trial", None)
    common = "--data.path lines.txt --trainer.accelerator cpu"
    assert fit("--trainer.max_time=00:10:00", config="bigram_counts", common=common) == 0
    assert trainer_options(Path("checkpoints/bigram_counts/version_0"))["max_time"] == "00:10:00"


def test_a_run_that_diverges_while_it_is_measured_reports_its_own_checkpoint(
    fit: Callable[..., int], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--optimizer=SGD", "--optimizer.lr=1e30", "--lr_scheduler=null"
    assert fit("--trainer.max_time=00:10:00", *options) == 2
    err = capsys.readouterr().err
    assert "allows" not in err
    last = err.splitlines()[-1]
    assert "with learning rate 1e+30: lower the optimizer's lr" in last
    assert "checkpoints/transformer/version_0/last.ckpt has the last good weights" in last

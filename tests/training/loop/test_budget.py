"""`trainer.max_time` without a length becomes a number of steps; a fake clock stands still but for the model's work."""

import math
import signal
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from sequentia.cli import main
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.training.loop import budget
from sequentia.training.loop.budget import parse_time
from sequentia.training.loop.length import best_steps
from tests.training.runs import COMMON, CONFIGS, LINES, RATE, curves, rows, same, without_speeds

STEP, VALIDATION = 0.5, 1.0  # seconds of the fake clock
RUN = Path("checkpoints/transformer/version_0")


class Clock:
    """A clock that only the tests advance.

    Attributes:
        now: Seconds since the start.
        changes: The moment at which the machine changes its speed, and the factor for each kind of work from then on.
        stop_at: Number of the training batch in which SIGTERM arrives; 0 for never.
    """

    def __init__(self) -> None:
        self.now, self.changes, self.stop_at, self.batches = 0.0, (math.inf, 1.0), 0, 0

    def __call__(self) -> float:
        return 1000 + self.now

    def work(self, seconds: float) -> None:
        moment, factor = self.changes
        self.now += seconds * (factor if self.now >= moment else 1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the budget, on which a batch of training and one of validation take `STEP` and `VALIDATION`."""
    clock, nll_sum = Clock(), LanguageModel.nll_sum

    def timed(self: LanguageModel, batch: Any) -> torch.Tensor:
        clock.work(STEP if self.training else VALIDATION)
        clock.batches += self.training
        if self.training and clock.batches == clock.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return nll_sum(self, batch)

    monkeypatch.setattr(LanguageModel, "nll_sum", timed)
    monkeypatch.setattr("sequentia.training.loop.budget.monotonic", clock)
    monkeypatch.setattr("sequentia.commands.fit.monotonic", clock)
    return clock


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `sequentia fit` with a small Transformer on LINES; returns the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(budget, "_ENDING", 0.5)
    Path("lines.txt").write_text("\n".join(LINES))

    def fit(*options: str, config: str = "transformer", common: str = COMMON) -> int:
        return main(["fit", "--config", str(CONFIGS / f"{config}.yaml"), *common.split(), *options])

    return fit


def trainer_options(run: Path = RUN) -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load((run / "config.yaml").read_text())["trainer"]
    return options


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [((math.inf, 1.0), 0.05), ((20, 2.0), 0.15), ((20, 0.5), 0.15), ((37, 2.0), 0.15), ((37, 0.5), 0.15)],
)
def test_a_run_takes_the_given_time_and_records_its_length(
    fit: Callable[..., int], clock: Clock, changes: tuple[float, float], tolerance: float
) -> None:
    """Also if another process comes or goes half way, or when the length has just been fixed."""
    clock.changes = changes
    assert fit("--trainer.max_time=00:00:40") == 0
    assert clock.now == pytest.approx(40, rel=tolerance)
    options, steps = trainer_options(), read_checkpoint(RUN / "last.ckpt")["global_step"]
    assert (options["max_steps"], options["max_time"]) == (steps, None)
    assert [step + 1 for step, _ in curves(RUN)["val/loss"]][-1] == steps
    assert len(curves(RUN)["val/loss"]) in range(3, 17)  # 4 to 14 if the speed did not change
    # The shipped schedule decays linearly after a warm-up of 2%, to 0 after the last step.
    assert curves(RUN)[RATE][-1][1] == pytest.approx(0.01 / (0.98 * steps), rel=1e-3)


def test_a_mixture_without_a_length_takes_a_minute(fit: Callable[..., int], clock: Clock) -> None:
    data = COMMON.partition(" --model.")[0]
    assert fit(config="mixture", common=data) == 0
    assert clock.now == pytest.approx(60, rel=0.1)  # a step of nine networks takes 4.5 seconds
    assert trainer_options(Path("checkpoints/mixture/version_0"))["max_time"] is None


def test_a_run_resumed_after_its_length_is_fixed_is_bit_identical(fit: Callable[..., int], clock: Clock) -> None:
    assert fit("--trainer.max_time=00:00:40") == 0
    steps = trainer_options()["max_steps"]
    clock.now, clock.batches, clock.stop_at = 0.0, 0, steps - 2
    assert fit("--trainer.max_time=00:00:40", "--trainer.default_root_dir=stopped") == 128 + signal.SIGTERM
    clock.now = 10_000.0
    stopped = Path("stopped/version_0")
    assert read_checkpoint(stopped / "last.ckpt")["global_step"] == steps - 2
    assert fit("--trainer.default_root_dir=stopped", "--ckpt_path=last") == 0
    one, other = (read_checkpoint(run / "last.ckpt") for run in (RUN, stopped))
    for part in ("state_dict", "optimizer_states", "lr_schedulers", "loops"):
        same(one[part], other[part], part)
    assert curves(RUN)["val/loss"] == curves(stopped)["val/loss"]
    assert [without_speeds(row) for row in rows(RUN)] == [without_speeds(row) for row in rows(stopped)]


def test_a_run_resumed_earlier_uses_the_rest_of_its_time(fit: Callable[..., int], clock: Clock) -> None:
    clock.stop_at = 30
    assert fit("--trainer.max_time=00:00:40") == 128 + signal.SIGTERM
    assert trainer_options()["max_time"] == "00:00:40"
    assert fit("--ckpt_path=last") == 0
    assert clock.now == pytest.approx(40, rel=0.05)
    assert trainer_options()["max_time"] is None
    steps = [step + 1 for step, _ in curves(RUN)["val/loss"]]
    assert len({after - before for before, after in pairwise(steps[:-1])}) == 1


def test_a_run_is_never_longer_than_its_data_allow(
    fit: Callable[..., int], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = "--data.val_fraction=0", "--data.test_fraction=0"
    assert fit("--trainer.max_time=00:10:00", *nothing) == 0
    best = best_steps(sum(len(line) + 1 for line in LINES), math.ceil(250 / 16))
    assert trainer_options()["max_steps"] == best
    assert "more steps would overfit, so not all of the time is used" in capsys.readouterr().err
    assert clock.now < 600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trainer.max_time=00:00:00"], "trainer.max_time 0:00:00 is over before the first step: give more time"),
        (
            ["--trainer.max_time=00:00:40", "--lr_scheduler=OneCycleLR", "--lr_scheduler.max_lr=0.01"],
            "OneCycleLR needs the length in advance: give --trainer.max_steps, not max_time alone",
        ),
    ],
)
def test_a_time_that_cannot_decide_the_length_is_refused(
    fit: Callable[..., int], capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert fit(*options) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"sequentia: {message}"
    assert not Path("checkpoints").exists()


@pytest.mark.parametrize("time", ["abc", "10", "1:00", "00:10", "{minutes: 10}", "00:10:00:", "-00:10:00"])
def test_what_is_no_time_is_refused_in_one_line(
    time: str, fit: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(f"--trainer.max_time={time}", "--trainer.max_steps=5") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" is not a time: give HH:MM:SS, such as 00:10:00 (ten minutes)")


def test_days_may_be_omitted() -> None:
    assert parse_time("00:10:00") == parse_time("00:00:10:00") == timedelta(minutes=10)
    assert parse_time("01:00:00:01") == timedelta(days=1, seconds=1)


@pytest.mark.parametrize(
    ("config", "options"),
    [("transformer", {"max_steps": 5}), ("transformer", {"max_epochs": 1}), ("bigram_counts", {})],
)
def test_with_a_length_or_a_single_epoch_max_time_only_stops_the_run(
    config: str, options: dict[str, int], fit: Callable[..., int]
) -> None:
    common = COMMON if config == "transformer" else "--data.path lines.txt --trainer.accelerator cpu"
    given = [f"--trainer.{option}={value}" for option, value in options.items()]
    assert fit("--trainer.max_time=00:10:00", *given, config=config, common=common) == 0
    recorded = trainer_options(Path(f"checkpoints/{config}/version_0"))
    assert recorded["max_time"] == "00:10:00"
    assert options.items() <= recorded.items()

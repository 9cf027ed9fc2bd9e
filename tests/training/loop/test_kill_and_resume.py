"""A run that is killed at any moment and resumed ends bit-identical to an uninterrupted one.

The last and best checkpoints are compared completely (weights, optimizer, schedule, progress, scores), and all curves.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.training.runs import (
    SETTINGS,
    ForkServer,
    Uninterrupted,
    arguments,
    curves,
    same_checkpoints,
    same_runs,
    the_run,
)

POINTS = [
    ("every 5 steps", [{"call": "on_train_batch_end", "count": 13}, {"call": "on_train_batch_end", "count": 9}]),
    ("every 5 steps", [{"call": "half", "count": 5}]),
    ("after validation only", [{"call": "on_validation_batch_start", "count": 3}]),
    ("after validation only", [{"call": "on_train_epoch_end", "count": 2}]),
    ("accumulating", [{"call": "on_train_batch_end", "count": 20}]),
    ("by epochs", [{"call": "on_train_epoch_start", "count": 3}]),
    ("nothing held out", [{"call": "save", "count": 2}, {"call": "fsync", "count": 7}]),
    ("the best two", [{"call": "replace", "count": 9}]),
    ("one cycle", [{"call": "on_train_end", "count": 1}]),
]
"""Kill points of the default test run."""

RANDOM_KILLS = 100
"""Runs of the slow test, which draws their kill points."""


def kill_and_resume(
    fit: ForkServer, uninterrupted: Uninterrupted, name: str, setting: str, kills: list[dict[str, Any]]
) -> None:
    expected = uninterrupted(setting)
    cwd = uninterrupted.workdir(name)
    for i, kill in enumerate(kills):
        resume = ["--ckpt_path", "last"] if (cwd / "checkpoints").exists() else []
        code = fit(cwd, arguments(setting) + resume, kill)
        if not is_complete(cwd, code):
            assert code in ((-9,) if "call" in kill and i == 0 else (-9, 0)), (cwd / "log").read_text()
    resume = ["--ckpt_path", "last"] if list(cwd.glob("checkpoints/*/*")) else []
    code = fit(cwd, arguments(setting) + resume)
    assert code == 0 or is_complete(cwd, code), (cwd / "log").read_text()
    same_runs(the_run(cwd), expected)


def is_complete(cwd: Path, code: int) -> bool:
    """Whether a resumed run was refused because it was complete before the kill."""
    return code == 2 and "so nothing is left to train" in (cwd / "log").read_text().splitlines()[-1]


@pytest.mark.parametrize(("setting", "kills"), POINTS, ids=str)
def test_a_killed_run_resumes_bit_identically(
    fit: ForkServer, uninterrupted: Uninterrupted, setting: str, kills: list[dict[str, Any]]
) -> None:
    kill_and_resume(fit, uninterrupted, f"killed {POINTS.index((setting, kills))}", setting, kills)


HOOKS = [
    *("on_train_batch_start", "on_train_batch_end", "on_before_optimizer_step", "on_before_zero_grad"),
    *("on_validation_start", "on_validation_batch_end", "on_validation_end", "on_train_epoch_end"),
    *("half", "save", "fsync", "replace", "time", "time", "time", "time"),
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RANDOM_KILLS))
def test_a_run_killed_at_a_random_point_resumes_bit_identically(
    fit: ForkServer, uninterrupted: Uninterrupted, seed: int
) -> None:
    draw = random.Random(seed)
    setting = draw.choice(list(SETTINGS))
    hooks = [hook for hook in HOOKS if setting != "nothing held out" or "validation" not in hook]
    kills: list[dict[str, Any]] = []
    for _ in range(draw.choice((1, 1, 2, 3))):
        hook = draw.choice(hooks)
        if hook == "time":
            kills.append({"after": draw.uniform(0, 1.5)})
        else:
            kills.append({"call": hook, "count": draw.randrange(1, 3 if "valid" in hook or "epoch" in hook else 9)})
    kill_and_resume(fit, uninterrupted, f"random {seed}", setting, kills)


def test_a_run_killed_before_its_first_checkpoint_restarts_in_the_same_directory(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    cwd = uninterrupted.workdir("before the first")
    assert fit(cwd, arguments("every 5 steps"), {"call": "save", "count": 1}) == -9
    assert not (the_run(cwd) / "last.ckpt").exists()
    assert fit(cwd, [*arguments("every 5 steps"), "--ckpt_path", "last"]) == 0
    assert "was stopped before its first checkpoint" in (cwd / "log").read_text()
    same_runs(the_run(cwd), uninterrupted("every 5 steps"))


def test_resuming_a_complete_run_is_refused_and_changes_nothing(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("complete")
    assert fit(cwd, arguments("every 5 steps")) == 0
    assert fit(cwd, [*arguments("every 5 steps"), "--ckpt_path", "last"]) == 2
    assert (cwd / "log").read_text().splitlines()[-1] == (
        "sequentia: checkpoints/transformer/version_0/last.ckpt has reached trainer.max_steps 40, so nothing is left "
        "to train: extend it with --trainer.max_steps 80"
    )
    same_runs(the_run(cwd), uninterrupted("every 5 steps"))


def test_a_run_extended_to_a_larger_max_steps_equals_the_longer_run(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    constant = ["--lr_scheduler.decay", "none", "--lr_scheduler.warmup", "3"]
    long, short = uninterrupted.workdir("long"), uninterrupted.workdir("short")
    assert fit(long, [*arguments("every 5 steps"), *constant]) == 0
    # The last step of a run is always validated, so the shorter runs end at steps that the longer one validates too.
    for steps, more in (("14", []), ("28", ["--ckpt_path", "last"]), ("40", ["--ckpt_path", "last"])):
        assert fit(short, [*arguments("every 5 steps"), *constant, "--trainer.max_steps", steps, *more]) == 0
    log = (short / "log").read_text()
    assert "trainer.max_steps changed: 14 -> 28" in log
    same_runs(the_run(short), the_run(long))


def test_the_best_checkpoint_of_several_is_best_ckpt(uninterrupted: Uninterrupted) -> None:
    run = uninterrupted("the best two")
    scores = dict(curves(run)["val/perplexity"])
    kept = sorted(scores, key=scores.__getitem__)[:2]
    assert {path.name for path in run.glob("best-*")} == {f"best-step={step + 1}.ckpt" for step in kept}
    same_checkpoints(run / "best.ckpt", run / f"best-step={kept[0] + 1}.ckpt")

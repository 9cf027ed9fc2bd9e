"""Early stops of a run.

Ctrl-C, SIGTERM and SIGHUP finish the step, write last.ckpt, print how to resume, and exit with 130, 143 or 129; nohup
ignores SIGHUP. A loss that is NaN or infinite stops the run with advice, and no such weight reaches a checkpoint. What
a callback raises ends the run in one line, and what was trained is saved.
"""

import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer

import sequentia
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.directory import locked
from tests.conftest import NAMES
from tests.training.runs import ForkServer, Uninterrupted, arguments, default_signals, same_runs, the_run

SETTING = "accumulating"  # 15 steps of three batches each


@pytest.mark.parametrize(
    ("signum", "hook", "count", "step"),
    [
        (signal.SIGINT, "on_before_optimizer_step", 4, 4),  # in a step, which is completed
        (signal.SIGTERM, "on_train_batch_start", 11, 4),  # while gradients accumulate: the whole step is completed
        (signal.SIGTERM, "on_validation_batch_start", 2, 6),  # in a validation, which is completed
        (signal.SIGINT, "on_train_epoch_start", 2, 5),  # between two epochs
        (signal.SIGHUP, "on_before_zero_grad", 3, 3),  # in a step
        (signal.SIGTERM, "on_train_start", 1, 0),  # while Lightning's handler is still installed
    ],
)
def test_a_signal_stops_after_the_step_and_the_run_resumes_bit_identically(
    fit: ForkServer, uninterrupted: Uninterrupted, signum: int, hook: str, count: int, step: int
) -> None:
    cwd = uninterrupted.workdir(f"signal {signum} {hook}")
    sent = {"hook": hook, "count": count, "signum": int(signum)}
    assert fit(cwd, arguments(SETTING), signal=sent) == 128 + signum
    run = the_run(cwd)
    assert read_checkpoint(run / "last.ckpt")["global_step"] == step
    log = (cwd / "log").read_text()
    path = "checkpoints/transformer/version_0"
    assert f"run {path}: step {step}" in log
    assert f"  resume   sequentia fit --ckpt_path {path}\n" in log
    assert "Traceback" not in log
    resume = ["fit", "--ckpt_path", path]
    assert fit(cwd, resume) == 0, (cwd / "log").read_text()
    same_runs(run, uninterrupted(SETTING))


def test_a_closed_terminal_does_not_stop_a_run_under_nohup(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("nohup")
    sent = {"hook": "on_before_zero_grad", "count": 3, "signum": int(signal.SIGHUP)}
    assert fit(cwd, arguments(SETTING), signal=sent, nohup=True) == 0
    same_runs(the_run(cwd), uninterrupted(SETTING))


def test_a_signal_in_the_last_step_leaves_a_complete_run(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("signal at the end")
    assert fit(cwd, arguments(SETTING), signal={"hook": "on_train_end", "count": 1, "signum": int(signal.SIGINT)}) == 0
    same_runs(the_run(cwd), uninterrupted(SETTING))


def in_use(run: Path) -> bool:
    try:
        with locked(run):
            return False
    except UserError:
        return True


@pytest.mark.slow  # needs a process with a terminal of its own
@pytest.mark.parametrize("through", ["", "2>&1 | cat"])
def test_a_run_whose_terminal_is_closed_is_saved_and_resumes_bit_identically(
    fit: ForkServer, uninterrupted: Uninterrupted, through: str
) -> None:
    """The shell and the kernel both send SIGHUP, and nothing can be printed anymore."""
    cwd = uninterrupted.workdir(f"closed {len(through)}")
    command = f"{shlex.join([sys.executable, '-m', 'sequentia', *arguments(SETTING)])} {through}"
    with default_signals():
        child, terminal = os.forkpty()
        if child == 0:
            os.chdir(cwd)
            os.execvp("bash", ["bash", "-i", "-c", f"{command}; true"])
    run = cwd / "checkpoints" / "transformer" / "version_0"
    while not (run / "best.ckpt").exists():  # written at step 2
        os.read(terminal, 10_000)
    os.close(terminal)
    os.waitpid(child, 0)
    while in_use(run):
        time.sleep(0.05)
    step = read_checkpoint(run / "last.ckpt")["global_step"]
    assert 2 <= step < 15
    assert fit(cwd, ["fit", "--ckpt_path", str(run)]) == 0, (cwd / "log").read_text()
    assert f"resuming {run}/last.ckpt at step {step}" in (cwd / "log").read_text()
    same_runs(run, uninterrupted(SETTING))


def test_a_second_ctrl_c_stops_immediately(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("twice")
    endless = ["--trainer.max_steps", "100000000", "--trainer.accumulate_grad_batches", "1000000"]
    sent = {"hook": "on_train_batch_end", "count": 9, "signum": int(signal.SIGINT), "twice": True}
    assert fit(cwd, [*arguments("every 5 steps"), *endless], signal=sent) == 130
    log = (cwd / "log").read_text()
    assert log.splitlines()[-1] == "SIGINT: stopping after this step; press Ctrl-C again to stop immediately"


@pytest.mark.parametrize(("lr", "every"), [("1e30", "1"), ("1e38", "3")])
def test_a_run_that_diverges_stops_and_keeps_the_last_good_weights(
    fit: ForkServer, uninterrupted: Uninterrupted, lr: str, every: str
) -> None:
    cwd = uninterrupted.workdir(f"diverged {lr} {every}")
    options = ["--optimizer.lr", lr, "--lr_scheduler.warmup", "0", "--checkpoint.every_n_train_steps", every]
    assert fit(cwd, [*arguments("every 5 steps"), *options]) == 2
    log = (cwd / "log").read_text()
    last = log.splitlines()[-1]
    assert "Traceback" not in log
    for part in (" at step ", "learning rate ", "lower the optimizer's lr", "gradient_clip_val"):
        assert part in last
    assert "last.ckpt has the last good weights" in last
    for path in the_run(cwd).glob("*.ckpt"):
        weights = read_checkpoint(path)["state_dict"]
        assert all(weight.isfinite().all() for weight in weights.values()), path


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (["--optimizer", "SparseAdam"], "SparseAdam does not support dense gradients"),
        (["--optimizer.lr", "1e300"], "cannot be converted to type float without overflow"),
    ],
)
def test_an_optimizer_that_fails_in_its_first_step_is_reported_in_one_line(
    fit: ForkServer, uninterrupted: Uninterrupted, options: list[str], cause: str
) -> None:
    cwd = uninterrupted.workdir(f"failed {cause[:10]}")
    assert fit(cwd, [*arguments("every 5 steps"), *options]) == 2
    log = (cwd / "log").read_text()
    assert "Traceback" not in log
    assert log.splitlines()[-1].startswith("sequentia: the first step fails, perhaps because of its options: ")
    assert cause in log.splitlines()[-1]


def test_a_nan_loss_stops_the_run_in_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, trained = LanguageModel.nll_sum, [0]

    def poisoned(model: LanguageModel, batch: Any) -> torch.Tensor:
        trained[0] += model.training
        return loss(model, batch) * (float("nan") if model.training and trained[0] == 6 else 1.0)

    monkeypatch.setattr(LanguageModel, "nll_sum", poisoned)
    options: dict[str, Any] = {"max_steps": 20, "checkpoint__every_n_train_steps": 1, "accelerator": "cpu"}
    with pytest.raises(UserError, match="the training loss is nan at step 6"):
        sequentia.fit(NAMES * 3, config="bigram", data__batch_size=4, default_root_dir=str(tmp_path), **options)
    saved = read_checkpoint(tmp_path / "version_0" / "last.ckpt")
    assert saved["global_step"] == 5
    assert all(weight.isfinite().all() for weight in saved["state_dict"].values())


class Fails(Callback):
    """Raises an error in one of its hooks."""

    def __init__(self, hook: str, step: int) -> None:
        setattr(self, hook, self._fail)
        self._step = step

    def _fail(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self._step:
            raise KeyError("boom")


@pytest.mark.parametrize(
    ("hook", "accumulated", "saved"),
    [("on_train_batch_end", 1, 3), ("on_after_backward", 1, 3), ("on_before_optimizer_step", 2, 0)],
    ids=["between steps", "in a step", "with accumulated gradients, which no checkpoint holds"],
)
def test_what_a_callback_raises_ends_the_run_in_one_line_and_it_resumes_bit_identically(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hook: str, accumulated: int, saved: int
) -> None:
    options: dict[str, Any] = {"data": NAMES * 3, "config": "gru", "model__n_hidden": 8, "max_steps": 6}
    options |= {"accelerator": "cpu", "data__batch_size": 4, "model__dropout": 0.1, "val_check_interval": 50}
    options |= {"accumulate_grad_batches": accumulated}
    whole, stopped = str(tmp_path / "whole"), str(tmp_path / "stopped")
    model = sequentia.fit(**options, default_root_dir=whole)
    with pytest.raises(
        UserError, match=r"^Fails\._fail failed at step 3 \(test_stopping\.py, line \d+\): KeyError: 'boom'$"
    ):
        sequentia.fit(**options, default_root_dir=stopped, callbacks=[Fails(hook, 3)])
    assert f"stopped/version_0: step {saved}, " in capsys.readouterr().err
    assert read_checkpoint(Path(stopped, "version_0", "last.ckpt"))["global_step"] == saved
    resumed = sequentia.fit(ckpt_path=stopped)
    assert all(torch.equal(weight, resumed.state_dict()[name]) for name, weight in model.state_dict().items())

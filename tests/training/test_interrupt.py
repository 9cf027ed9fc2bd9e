"""Ctrl-C and SIGTERM finish the step, write last.ckpt, tell how to go on, and exit with 130 or 143."""

import signal
import subprocess
import sys

import pytest

from sequentia.checkpoint import read_checkpoint
from tests.training.runs import ForkServer, Straight, arguments, same_runs, the_run

SETTING = "accumulating"  # 15 steps of three batches each


@pytest.mark.parametrize(
    ("signum", "hook", "count", "step"),
    [
        (signal.SIGINT, "on_before_optimizer_step", 4, 4),  # in a step: it is finished
        (signal.SIGTERM, "on_train_batch_start", 11, 4),  # while gradients gather: the whole step is finished
        (signal.SIGTERM, "on_validation_batch_start", 2, 6),  # in a validation: so is its step
        (signal.SIGINT, "on_train_epoch_start", 2, 5),  # between two epochs
        (signal.SIGTERM, "on_train_start", 1, 0),  # when Lightning's handler still stands
    ],
)
def test_a_signal_stops_after_the_step_and_the_run_goes_on_bit_by_bit(
    fit: ForkServer, straight: Straight, signum: int, hook: str, count: int, step: int
) -> None:
    cwd = straight.place(f"signal {signum} {hook}")
    sent = {"hook": hook, "count": count, "signum": int(signum)}
    assert fit(cwd, arguments(SETTING), signal=sent) == 128 + signum
    run = the_run(cwd)
    assert read_checkpoint(run / "last.ckpt")["global_step"] == step
    log = (cwd / "log").read_text()
    place = "checkpoints/transformer/version_0"
    assert f"run {place}: step {step}" in log
    assert f"  go on        sequentia fit --config {place}/config.yaml --ckpt_path {place}/last.ckpt\n" in log
    assert "Traceback" not in log
    go_on = ["fit", "--config", f"{place}/config.yaml", "--ckpt_path", f"{place}/last.ckpt"]
    assert fit(cwd, go_on) == 0, (cwd / "log").read_text()
    same_runs(run, straight(SETTING))


def test_a_signal_in_the_last_step_finds_a_complete_run(fit: ForkServer, straight: Straight) -> None:
    cwd = straight.place("signal at the end")
    assert fit(cwd, arguments(SETTING), signal={"hook": "on_train_end", "count": 1, "signum": int(signal.SIGINT)}) == 0
    same_runs(the_run(cwd), straight(SETTING))


def test_a_second_ctrl_c_stops_at_once(straight: Straight) -> None:
    cwd = straight.place("twice")
    endless = ["--trainer.max_steps", "100000000", "--trainer.accumulate_grad_batches", "1000000"]
    command = [sys.executable, "-m", "sequentia", *arguments("every 5 steps"), *endless]
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if line.startswith("step 0 "):  # a validation: training is under way
                process.send_signal(signal.SIGINT)
            if line.startswith("Ctrl-C: stopping after this step"):
                process.send_signal(signal.SIGINT)
                break
        told.append(process.stderr.read())
    assert process.returncode == 130
    assert "Traceback" not in "".join(told)

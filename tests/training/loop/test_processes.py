"""Two processes reproduce a single one with the same global batch, and resume exactly after all of them are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sequentia.runs.checkpoint import read_checkpoint
from tests.training.runs import CONFIGS, RATE, Uninterrupted, arguments, curves, default_signals, same_runs, the_run

OPTIONS = ["--model.dropout", "0", "--trainer.max_steps", "50"]
MIXTURE = [
    *("--config", str(CONFIGS / "mixture.yaml"), "--trainer.default_root_dir", "checkpoints/transformer"),
    *(
        "--model.members",
        "[{architecture: Transformer, n_embd: 16, n_layer: 1, n_head: 2, dropout: 0}, {architecture: NGram}]",
    ),
]
TWO = ["--trainer.strategy", "ddp", "--trainer.devices", "2"]

pytestmark = pytest.mark.slow  # each start of two processes takes ten seconds


def fit(cwd: Path, *options: str, kill: bool = False, mixture: bool = False) -> int:
    """Run `sequentia fit`; with `kill`, all its processes die at the validation after step 28."""
    given = [*arguments("every 5 steps"), *OPTIONS]
    if mixture:
        pairs = zip(given[3::2], given[4::2], strict=True)
        given = ["fit", *MIXTURE, *(word for pair in pairs for word in pair if not pair[0].startswith("--model."))]
    command = [sys.executable, "-m", "sequentia", *given, *options]
    with subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if kill and line.startswith("step 28 "):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode


@pytest.mark.parametrize("mixture", [False, True])
def test_two_processes_reproduce_one_with_the_same_global_batch(uninterrupted: Uninterrupted, mixture: bool) -> None:
    one, two = (uninterrupted.workdir(f"{number} {mixture}") for number in ("one process", "two processes"))
    assert fit(one, "--data.batch_size", "32", mixture=mixture) == 0
    assert fit(two, "--data.batch_size", "16", *TWO, mixture=mixture) == 0
    expected, got = curves(the_run(one)), curves(the_run(two))
    assert [step + 1 for step, _ in expected["val/loss"]] == [7, 14, 21, 28, 35, 42, 49, 50]
    for tag in ("val/loss", RATE):
        assert [step for step, _ in got[tag]] == [step for step, _ in expected[tag]]
        assert [value for _, value in got[tag]] == pytest.approx([value for _, value in expected[tag]], abs=1e-5)


def test_two_killed_processes_resume_bit_identically(uninterrupted: Uninterrupted) -> None:
    whole, killed = uninterrupted.workdir("two never killed"), uninterrupted.workdir("two killed")
    dropout = ["--model.dropout", "0.1"]
    assert fit(whole, *TWO, *dropout) == 0
    assert fit(killed, *TWO, *dropout, kill=True) == -9
    assert fit(killed, *TWO, *dropout, "--ckpt_path", "last") == 0
    same_runs(the_run(killed), the_run(whole))


def test_two_processes_agree_on_the_length_within_a_time_limit(uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("two, timed")
    assert fit(cwd, *TWO, "--trainer.max_time", "00:02:00", "--trainer.max_steps", "-1") == 0
    steps = yaml.safe_load((the_run(cwd) / "config.yaml").read_text())["trainer"]["max_steps"]
    assert read_checkpoint(the_run(cwd) / "last.ckpt")["global_step"] == steps


def test_sigterm_to_the_first_process_stops_both(uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("two stopped")
    command = [sys.executable, "-m", "sequentia", *arguments("every 5 steps"), *TWO, "--trainer.max_steps", "100000"]
    with default_signals():
        process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True, start_new_session=True)
    with process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("step 14 "):
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    assert "Traceback" not in "".join(lines)
    assert (the_run(cwd) / "last.ckpt").is_file()

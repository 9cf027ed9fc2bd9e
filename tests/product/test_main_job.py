"""The main job as a new user does it: training, a kill and the resume through the installed command."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sequentia.cli import main
from tests.conftest import CommandResult

Command = Callable[..., CommandResult]

ROOT = Path(__file__).parents[2]
SEQUENTIA = Path(sys.executable).with_name("sequentia")
SMALL = [
    "--model.n_layer=1",
    "--model.n_embd=16",
    "--model.n_head=2",
    "--model.dropout=0.1",
    "--data.batch_size=64",
    "--trainer.max_steps=60",
    "--trainer.val_check_interval=25",
    "--trainer.log_every_n_steps=5",
    "--checkpoint.every_n_train_steps=10",
    "--trainer.accelerator=cpu",
]


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the installed command."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(SEQUENTIA), *arguments], cwd=directory, env=environment, stderr=subprocess.PIPE, text=True
    )


def run(directory: Path, *arguments: str) -> None:
    """Run the installed command."""
    with start(directory, *arguments) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


@pytest.fixture(scope="module")
def config() -> str:
    return str(ROOT / "configs" / "transformer.yaml")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, config: str) -> Path:
    """A directory with a run that was never interrupted."""
    directory = tmp_path_factory.mktemp("uninterrupted")
    with chdir(directory):
        assert main(["fit", "--config", config, *SMALL]) == 0
    return directory


def test_fit_prints_the_run_directory_and_the_commands_to_continue_with(
    uninterrupted: Path, config: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(uninterrupted)
    again = command("fit", "--config", config, *SMALL, "--trainer.max_steps=2")
    assert (again.code, again.out) == (0, "")
    assert "checkpoints/transformer/version_1" in again.err
    for words in (
        "sequentia sample checkpoints",
        "sequentia test checkpoints",
        "tensorboard --logdir checkpoints",
        "sequentia fit --ckpt_path",
    ):
        assert words in again.err
    files = {path.name for path in (uninterrupted / "checkpoints/transformer/version_0").iterdir()}
    assert {"config.yaml", "best.ckpt", "last.ckpt"} <= files


def test_a_killed_run_resumes_and_is_tested_and_sampled(
    uninterrupted: Path, tmp_path: Path, config: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = tmp_path / "checkpoints/transformer/version_0/last.ckpt"
    written: set[int] = set()
    with start(tmp_path, "fit", "--config", config, *SMALL) as process:
        while len(written) < 3:  # before the first step, and twice after it
            assert process.poll() is None
            if last.exists():
                written.add(last.stat().st_mtime_ns)
            time.sleep(0.001)
        process.kill()

    monkeypatch.chdir(tmp_path)
    assert command("fit", "--config", config, *SMALL, "--ckpt_path", "last").code == 0
    assert [path.name for path in last.parents[1].iterdir()] == ["version_0"]
    ours, theirs = (
        torch.load(d / "checkpoints/transformer/version_0/last.ckpt", weights_only=True)
        for d in (tmp_path, uninterrupted)
    )
    assert ours["global_step"] == theirs["global_step"] == 60
    for name, weight in ours["state_dict"].items():
        assert torch.equal(weight, theirs["state_dict"][name])

    tested = command("test", "--config", config, "--ckpt_path", "last")
    assert tested.code == 0, tested.err
    assert "test/loss" in tested.out
    options = ("--ckpt_path", "checkpoints/transformer/version_0", "--num_samples", "7", "--seed", "3")
    sampled = command("sample", *options)
    assert sampled.code == 0, sampled.err
    assert len(sampled.out.splitlines()) == 7
    monkeypatch.chdir(uninterrupted)
    assert sampled.out == command("sample", *options).out


def test_a_run_in_mixed_precision_computes_in_bfloat16_and_keeps_its_weights_in_float32(
    tmp_path: Path, config: str, uninterrupted: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("fit", "--config", config, *SMALL, "--trainer.precision", "bf16-mixed")
    assert done.code == 0, done.err
    assert done.err.count("trainer.precision bf16-mixed makes most models slower on a CPU") == 1
    mixed, full = (
        torch.load(d / "checkpoints/transformer/version_0/last.ckpt", weights_only=True)["state_dict"]
        for d in (tmp_path, uninterrupted)
    )
    assert all(weight.dtype == torch.float32 for weight in mixed.values() if weight.is_floating_point())
    assert any(not torch.equal(weight, full[name]) for name, weight in mixed.items())
    losses = [dict(scalars(d / "checkpoints/transformer/version_0", "val/loss")) for d in (tmp_path, uninterrupted)]
    assert losses[0].keys() == losses[1].keys()
    for step, loss in losses[1].items():
        assert losses[0][step] == pytest.approx(loss, abs=0.02)
        assert losses[0][step] != loss


def test_two_processes_take_half_of_the_lines_of_each_step_and_write_one_run(
    tmp_path: Path, config: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["fit", "--config", config, *SMALL, "--model.dropout=0", "--trainer.max_steps=4"]
    options += ["--trainer.val_check_interval=2", "--trainer.log_every_n_steps=1"]
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        directory.mkdir()
    run(two, *options, "--data.batch_size=32", "--trainer.strategy=ddp", "--trainer.devices=2")
    monkeypatch.chdir(one)
    assert command(*options, "--data.batch_size=64").code == 0
    for directory in (one, two):
        assert [path.name for path in (directory / "checkpoints/transformer").iterdir()] == ["version_0"]
    expected, found = (scalars(d / "checkpoints/transformer/version_0", "val/loss") for d in (one, two))
    assert [step for step, _ in found] == [step for step, _ in expected] == [1, 3]
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in expected], abs=1e-5)


def scalars(run: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]

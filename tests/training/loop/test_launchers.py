"""All processes that a launcher starts train one run, or the options are refused.

SLURM is simulated by its environment variables.
"""

import signal
from pathlib import Path

import pytest
from jsonargparse import Namespace
from lightning.fabric.utilities.rank_zero import rank_zero_only

from sequentia.cli import main
from sequentia.errors import UserError
from sequentia.training.logs.progress import RunProgress
from sequentia.training.loop.processes import check_launcher
from tests.training.runs import LINES, same_runs


def options(**changes: object) -> Namespace:
    values = {"accelerator": "cpu", "devices": "auto", "num_nodes": 1, "strategy": "auto"}
    return Namespace(**values | changes)


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the first of four processes."""
    values = {"TORCHELASTIC_RUN_ID": "run", "WORLD_SIZE": 4, "RANK": 0, "LOCAL_RANK": 0, "GROUP_RANK": 0}
    values |= {"LOCAL_WORLD_SIZE": 4, "MASTER_ADDR": "localhost", "MASTER_PORT": 29500}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(("nodes", "devices"), [(1, "4"), (2, "2")])
def test_the_processes_of_torchrun_are_adopted(torchrun: None, nodes: int, devices: str) -> None:
    trainer = options(num_nodes=nodes)
    check_launcher(trainer)
    assert trainer.devices == devices


def test_another_number_of_devices_than_processes_is_refused(torchrun: None) -> None:
    with pytest.raises(UserError, match=r"the launcher started 4 processes, but trainer.devices 1 and .* ask for 1"):
        check_launcher(options(devices=1))
    check_launcher(options(devices=4))


def test_strategies_that_start_processes_from_python_are_refused() -> None:
    with pytest.raises(UserError, match=r"trainer.strategy ddp_spawn .* set --trainer.strategy ddp"):
        check_launcher(options(strategy="ddp_spawn"))


def test_a_process_that_no_launcher_started_does_not_train_as_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would save its checkpoints to the directory of runs itself, or train the same run as all others."""
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        with pytest.raises(UserError, match=r"one of several processes, but trainer.devices asks for one: unset"):
            check_launcher(options(devices=1))
        check_launcher(options(devices=2))  # started by Lightning
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    with pytest.raises(UserError, match="one of several processes"):
        check_launcher(options())


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job of one task, in a directory with data."""
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join(LINES))
    for name in ("NTASKS", "NTASKS_PER_NODE", "NNODES"):
        monkeypatch.setenv(f"SLURM_{name}", "1")
    for name in ("PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")


def test_a_job_stopped_before_its_time_limit_resumes_bit_identically(slurm: None) -> None:
    """The signal arrives at the first validation."""
    fit = ["fit", "--model=Bigram", "--data.path=lines.txt", "--trainer.accelerator=cpu", "--trainer.max_steps=40"]
    fit += ["--trainer.val_check_interval=10", "--trainer.default_root_dir"]
    assert main([*fit, "whole"]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunProgress, "on_validation_end", lambda *_: signal.raise_signal(signal.SIGUSR1))
        assert main([*fit, "job"]) == 128 + signal.SIGUSR1
    assert [path.name for path in Path("job").iterdir()] == ["version_0"]  # without Lightning's checkpoint
    assert main([*fit, "job", "--ckpt_path", "last"]) == 0
    same_runs(Path("job/version_0"), Path("whole/version_0"))


def test_several_tasks_without_srun_do_not_wait_for_each_other(slurm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "4")
    with pytest.raises(UserError, match=r"4 tasks, but srun did not start this process.*put srun before the command"):
        check_launcher(options())
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    trainer = options()
    check_launcher(trainer)
    assert trainer.devices == "4"

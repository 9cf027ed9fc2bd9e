"""A job that SLURM requeues resumes its own run; SLURM is simulated by its environment variables and a fake command."""

import signal
from pathlib import Path

import pytest

from sequentia.cli import main
from sequentia.training.logs.progress import RunProgress
from tests.training.runs import LINES, same_runs

FIT = ["fit", "--model=Bigram", "--data.path=lines.txt", "--trainer.accelerator=cpu", "--trainer.max_steps=40"]
FIT += ["--trainer.val_check_interval=10"]
RUNS = Path("checkpoints/bigram")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of one task in a directory with data; returns the file in which the fake `scontrol` keeps its arguments."""
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join(LINES))
    calls = tmp_path / "calls"
    command = tmp_path / "bin" / "scontrol"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    for name in ("NTASKS", "NTASKS_PER_NODE", "NNODES"):
        monkeypatch.setenv(f"SLURM_{name}", "1")
    for name in ("PROCID", "LOCALID", "NODEID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    return calls


def preempted(options: list[str]) -> int:
    """Run the command; SLURM's signal arrives at the first validation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunProgress, "on_validation_end", lambda *_: signal.raise_signal(signal.SIGUSR1))
        return main(options)


def test_a_requeued_job_resumes_its_run_bit_identically(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*FIT, "--trainer.default_root_dir=whole"]) == 0
    capsys.readouterr()
    assert preempted(FIT) == 128 + signal.SIGUSR1
    assert job.read_text() == "requeue 4711\n"
    assert "run checkpoints/bigram/version_0: step 10" in capsys.readouterr().err
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert main(FIT) == 0
    message = "SLURM has restarted this job: resuming its run checkpoints/bigram/version_0\n"
    assert capsys.readouterr().err.startswith(message)
    assert [path.name for path in RUNS.iterdir()] == ["version_0"]
    same_runs(RUNS / "version_0", Path("whole/version_0"))


def test_only_the_same_command_of_the_same_job_resumes_a_run(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(FIT) == 0
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert main([*FIT, "--seed_everything=1"]) == 0
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    assert main(FIT) == 0
    assert {path.name for path in RUNS.iterdir()} == {"version_0", "version_1", "version_2"}


def test_a_task_of_an_array_is_requeued_by_its_number(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert preempted(FIT) == 128 + signal.SIGUSR1
    assert job.read_text() == "requeue 4700_3\n"


def test_a_failed_requeue_says_how_to_resume(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (job.parent / "bin" / "scontrol").write_text("#!/bin/sh\nexit 1\n")
    assert preempted(FIT) == 128 + signal.SIGUSR1
    assert "submit it again with --ckpt_path last" in capsys.readouterr().err


def test_variables_that_do_not_fit_together_are_one_line(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "2")
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    assert main(FIT) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sequentia: cannot use the processes of srun: ")

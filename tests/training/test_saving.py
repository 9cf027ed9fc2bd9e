"""Checkpoints are written whole or not at all; a full disk leaves the one before."""

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.checkpoint import read_checkpoint
from sequentia.errors import UserError
from sequentia.runs import create_run, newest_run, only_process
from sequentia.training.saving import AtomicCheckpointIO, remove_leftovers
from tests.training.runs import ForkServer, Straight, arguments, the_run


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_file_before_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def fail(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    owner: Any = os if call == "fsync" else Path
    monkeypatch.setattr(owner, call, fail)
    with pytest.raises(
        UserError, match=f"cannot write .*last.ckpt: {os.strerror(number)}; the one before it is intact"
    ):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_takes_no_more_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(10)}, path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*last\.ckpt: File too large; the one before it is intact"):
            AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(torch.load(path, weights_only=True)["weights"]) == 10
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_ends_the_run_with_one_line(straight: Straight) -> None:
    cwd = straight.place("full")
    # The n-th checkpoint is too large for the limit of this process's files.
    script = (
        "import resource, signal, sys, torch; from sequentia.cli import main\n"
        "from sequentia.training import saving; save = saving.AtomicCheckpointIO.save_checkpoint; left = [4]\n"
        "def full(*args, **kwargs):\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0: resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))\n"
        "    save(*args, **kwargs)\n"
        "saving.AtomicCheckpointIO.save_checkpoint = full; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", script, *arguments("every 5 steps")]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "the one before it is intact: make room" in done.stderr.splitlines()[-1]
    run = the_run(cwd)
    assert read_checkpoint(run / "last.ckpt")["global_step"] == 5
    assert not list(run.glob(".*"))


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.tmp").write_bytes(b"half")
    (tmp_path / "last.ckpt").write_bytes(b"whole")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_runs_started_at_the_same_moment_get_directories_of_their_own(tmp_path: Path) -> None:
    made: list[Path] = []
    start = threading.Barrier(16)

    def make() -> None:
        start.wait()
        made.append(create_run(tmp_path / "a" / "b"))

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name for path in made} == {f"version_{i}" for i in range(16)}
    assert newest_run(tmp_path / "a" / "b") == tmp_path / "a" / "b" / "version_15"


@pytest.mark.parametrize("root", ["a file", "/proc/sequentia"])
def test_a_directory_that_cannot_be_made_is_told_before_training(
    fit: ForkServer, straight: Straight, root: str
) -> None:
    cwd = straight.place(f"no directory {root.count('/')}")
    (cwd / "a file").write_text("in the way")
    assert fit(cwd, [*arguments("every 5 steps"), "--trainer.default_root_dir", root]) == 2
    log = (cwd / "log").read_text()
    assert log.startswith(f"sequentia: cannot make a run directory in {root}: ")
    assert log.count("\n") == 1


def test_a_run_is_for_one_process_at_a_time(fit: ForkServer, straight: Straight) -> None:
    cwd = straight.place("locked")
    assert fit(cwd, arguments("every 5 steps"), {"call": "on_train_batch_end", "count": 9}) == -9
    with only_process(the_run(cwd)):
        assert fit(cwd, [*arguments("every 5 steps"), "--ckpt_path", "last"]) == 2
    assert "version_0 is in use by another process" in (cwd / "log").read_text()
    assert fit(cwd, [*arguments("every 5 steps"), "--ckpt_path", "last"]) == 0


def test_a_start_that_fails_leaves_no_run(fit: ForkServer, straight: Straight) -> None:
    cwd = straight.place("failed")
    for mistake in (["--data.path", "nowhere.txt"], ["--trainer.accelerator", "quantum"]):
        assert fit(cwd, [*arguments("every 5 steps"), *mistake]) == 2
    assert not list(cwd.glob("checkpoints/*/*"))

"""Which files a run writes and when, each as a whole or not at all."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.errors import UserError
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.directory import locked
from sequentia.training.loop.checkpointing import AtomicCheckpointIO
from tests.training.runs import ForkServer, Uninterrupted, arguments, same_runs, the_run

EVERY = "every 5 steps"


def branch(cwd: Path, steps: str) -> list[str]:
    """Arguments of a new run from the best checkpoint of a run of 21 steps, the 8th step of its epoch."""
    return [*arguments(EVERY), "--trainer.max_steps", steps, "--ckpt_path", str(the_run(cwd) / "best.ckpt")]


def test_a_branch_killed_before_its_first_step_resumes_as_a_branch(
    fit: ForkServer, uninterrupted: Uninterrupted
) -> None:
    whole, killed = uninterrupted.workdir("branch"), uninterrupted.workdir("branch killed")
    for cwd in (whole, killed):
        assert fit(cwd, [*arguments(EVERY), "--trainer.max_steps", "21"]) == 0
    assert fit(whole, branch(whole, "40")) == 0
    assert fit(killed, branch(killed, "40"), {"call": "on_train_batch_start", "count": 1}) == -9
    assert fit(killed, [*arguments(EVERY), "--ckpt_path", "last"]) == 0
    one, other = (cwd / "checkpoints" / "transformer" / "version_1" for cwd in (whole, killed))
    assert read_checkpoint(one / "last.ckpt")["global_step"] == 40
    weights = [read_checkpoint(run / "last.ckpt")["state_dict"] for run in (one, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    same_runs(other, one)


@pytest.mark.parametrize(("keep", "files"), [("2", {"best.ckpt", "last.ckpt"}), ("0", {"last.ckpt"})])
def test_if_nothing_is_held_out_the_last_checkpoint_is_the_best_and_the_only_one(
    fit: ForkServer, uninterrupted: Uninterrupted, keep: str, files: set[str]
) -> None:
    cwd = uninterrupted.workdir(f"nothing held out, {keep} kept")
    assert fit(cwd, [*arguments("nothing held out"), "--checkpoint.save_top_k", keep]) == 0
    assert {path.name for path in the_run(cwd).glob("*.ckpt")} == files


@pytest.mark.parametrize("more", [[], ["--trainer.limit_val_batches", "0"]], ids=["rarely", "no longer"])
def test_a_model_that_was_never_validated_does_not_replace_the_best(
    fit: ForkServer, uninterrupted: Uninterrupted, more: list[str]
) -> None:
    cwd = uninterrupted.workdir(f"validated {len(more)}")
    options = [*arguments("by epochs"), "--trainer.check_val_every_n_epoch", "2", "--trainer.max_epochs"]
    assert fit(cwd, [*options, "2"], {"call": "on_train_epoch_end", "count": 1}) == -9
    assert not (the_run(cwd) / "best.ckpt").exists()
    assert fit(cwd, [*options, "2", "--ckpt_path", "last"]) == 0
    best = (the_run(cwd) / "best.ckpt").read_bytes()
    assert fit(cwd, [*options, "3", *more, "--ckpt_path", "last"]) == 0
    assert read_checkpoint(the_run(cwd) / "last.ckpt")["global_step"] == 27
    assert (the_run(cwd) / "best.ckpt").read_bytes() == best


@pytest.mark.parametrize(("call", "number"), [("fsync", errno.EIO), ("replace", errno.ENOSPC)])
def test_a_failed_write_leaves_the_previous_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def fail(*args: Any) -> None:
        raise OSError(number, os.strerror(number))

    owner: Any = os if call == "fsync" else Path
    monkeypatch.setattr(owner, call, fail)
    with pytest.raises(
        UserError, match=f"cannot write .*last.ckpt: {os.strerror(number)}; the previous file is intact"
    ):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_ends_the_run_with_one_line(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("full")
    assert fit(cwd, arguments(EVERY), full=4) == 2
    log = (cwd / "log").read_text()
    assert "Traceback" not in log
    last = log.splitlines()[-1]
    assert "the previous file is intact; resolve that, or set --trainer.default_root_dir" in last
    run = the_run(cwd)
    assert read_checkpoint(run / "last.ckpt")["global_step"] == 5
    assert not list(run.glob(".*"))


@pytest.mark.parametrize("root", ["a file", "/proc/sequentia"])
def test_a_run_directory_that_cannot_be_created_is_reported_before_training(
    fit: ForkServer, uninterrupted: Uninterrupted, root: str
) -> None:
    cwd = uninterrupted.workdir(f"no directory {root.count('/')}")
    (cwd / "a file").write_text("in the way")
    assert fit(cwd, [*arguments(EVERY), "--trainer.default_root_dir", root]) == 2
    log = (cwd / "log").read_text()
    assert log.startswith(f"sequentia: cannot create a run directory in {root}: ")
    assert log.count("\n") == 1


def test_only_one_process_at_a_time_writes_to_a_run(fit: ForkServer, uninterrupted: Uninterrupted) -> None:
    cwd = uninterrupted.workdir("locked")
    assert fit(cwd, arguments(EVERY), {"call": "on_train_batch_end", "count": 9}) == -9
    with locked(the_run(cwd)):
        assert fit(cwd, [*arguments(EVERY), "--ckpt_path", "last"]) == 2
    assert "version_0 is in use by another process" in (cwd / "log").read_text()
    assert fit(cwd, [*arguments(EVERY), "--ckpt_path", "last"]) == 0

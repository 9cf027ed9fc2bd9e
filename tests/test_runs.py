"""Run directories, and which run and checkpoint a command means."""

import os
import threading
from pathlib import Path

import pytest

from sequentia.errors import UserError
from sequentia.runs import create_run, find_checkpoint, newest_checkpoint, newest_run, remove_if_never_begun, run_to_fit


def write(run: Path, *names: str, time: int = 0) -> Path:
    """A run directory with files of a given modification time."""
    run.mkdir(parents=True, exist_ok=True)
    for name in names:
        (run / name).write_bytes(b"")
        os.utime(run / name, (time, time))
    return run


def test_runs_started_at_the_same_moment_get_separate_directories(tmp_path: Path) -> None:
    created: list[Path] = []
    start = threading.Barrier(16)

    def create() -> None:
        start.wait()
        created.append(create_run(tmp_path / "a" / "b"))

    threads = [threading.Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name for path in created} == {f"version_{i}" for i in range(16)}
    assert newest_run(tmp_path / "a" / "b") == tmp_path / "a" / "b" / "version_15"


def test_a_new_run_gets_a_number_above_all_others(tmp_path: Path) -> None:
    for name in ("version_2", "version_10", "version_x", "other"):
        (tmp_path / name).mkdir()
    assert create_run(tmp_path).name == "version_11"


def test_a_run_means_its_best_checkpoint_and_its_last_one_before_the_first_validation(tmp_path: Path) -> None:
    run = write(tmp_path / "version_0", "last.ckpt")
    assert find_checkpoint(str(run)) == run / "last.ckpt"
    write(run, "best.ckpt")
    assert find_checkpoint(str(run)) == run / "best.ckpt"


def test_the_newest_checkpoint_is_in_the_run_that_was_written_last(tmp_path: Path) -> None:
    write(tmp_path / "gru" / "version_7", "best.ckpt", time=10)
    newest = write(tmp_path / "rnn" / "version_0", "best.ckpt", time=5)
    write(newest, "last.ckpt", time=20)
    assert newest_checkpoint(tmp_path) == newest / "best.ckpt"


def test_last_ckpt_continues_its_run_and_any_other_checkpoint_starts_a_new_one(tmp_path: Path) -> None:
    run = write(tmp_path / "version_0", "config.yaml", "best.ckpt", "last.ckpt")
    assert run_to_fit("last", tmp_path) == (run, run / "last.ckpt")
    assert run_to_fit(str(run), tmp_path) == (run, run / "last.ckpt")
    assert run_to_fit(str(run / "best.ckpt"), tmp_path) == (None, run / "best.ckpt")
    assert run_to_fit(None, tmp_path) == (None, None)


def test_only_a_run_that_never_began_is_removed(tmp_path: Path) -> None:
    never = write(tmp_path / "version_0", "events.out.tfevents.1.host")
    begun = write(tmp_path / "version_1", "config.yaml")
    others = write(tmp_path / "version_2", "notes.txt")
    for run in (never, begun, others):
        remove_if_never_begun(run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["version_1", "version_2"]
    assert (others / "notes.txt").exists()


@pytest.mark.parametrize("given", ["nowhere", "empty"])
def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"no checkpoint .*{given}"):
        find_checkpoint(given)

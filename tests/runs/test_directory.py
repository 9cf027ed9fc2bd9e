"""Run directories, and which run and checkpoint a command means."""

import os
import threading
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from sequentia.errors import UserError
from sequentia.models import Bigram
from sequentia.runs.directory import (
    create_run,
    find_checkpoint,
    newest_run,
    read_config,
    remove_if_never_begun,
    run_to_fit,
)


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


def test_a_new_run_gets_a_number_above_all_others(tmp_path: Path) -> None:
    for name in ("version_2", "version_10", "version_x", "other"):
        (tmp_path / name).mkdir()
    assert create_run(tmp_path).name == "version_11"


def trained(run: Path, step: int, time: int) -> Path:
    """A run whose last.ckpt is that of an untrained model at `step`."""
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(Bigram("ab", 3))
    trainer.save_checkpoint(run / "last.ckpt")
    checkpoint = torch.load(run / "last.ckpt", weights_only=True) | {"global_step": step}
    torch.save(checkpoint, run / "last.ckpt")
    os.utime(run / "last.ckpt", (time, time))
    return run


def test_the_newest_run_is_the_one_that_was_written_last(tmp_path: Path) -> None:
    write(tmp_path / "gru" / "version_7", "best.ckpt", time=10)
    newest = write(tmp_path / "rnn" / "version_0", "best.ckpt", time=5)
    write(newest, "last.ckpt", time=20)
    for given in (None, "last", str(tmp_path)):
        assert find_checkpoint(given, tmp_path) == newest / "best.ckpt"
    assert find_checkpoint(None, tmp_path / "gru") == tmp_path / "gru" / "version_7" / "best.ckpt"


def test_a_run_has_a_short_name_below_the_root_unless_there_is_such_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    below = write(Path("checkpoints/gru/version_7"), "config.yaml", "best.ckpt", "last.ckpt")
    for given in ("gru", "gru/version_7", "checkpoints/gru"):
        assert find_checkpoint(given) == below / "best.ckpt"
        assert run_to_fit(given, Path("checkpoints")) == (below, below / "last.ckpt")
    here = write(Path("gru/version_0"), "best.ckpt")
    assert find_checkpoint("gru") == here / "best.ckpt"


def test_a_run_means_its_best_checkpoint_if_it_has_one_and_to_fit_its_last(tmp_path: Path) -> None:
    write(tmp_path / "version_0", "config.yaml", "best.ckpt", "last.ckpt", time=30)
    newest = write(tmp_path / "version_1", "config.yaml", "last.ckpt", time=40)
    assert find_checkpoint(str(newest)) == newest / "last.ckpt"
    write(newest, "best.ckpt", time=40)
    for given in (newest, tmp_path):
        assert find_checkpoint(str(given)) == newest / "best.ckpt"
        assert run_to_fit(str(given), Path("elsewhere")) == (newest, newest / "last.ckpt")


def test_a_run_that_never_completed_a_step_is_not_the_newest_trained_one(tmp_path: Path) -> None:
    good = trained(write(tmp_path / "version_0"), step=5, time=10)
    trained(write(tmp_path / "version_1"), step=0, time=20)
    write(tmp_path / "version_2", "config.yaml", time=30)
    assert newest_run(tmp_path, trained=True) == good
    assert newest_run(tmp_path) == tmp_path / "version_2"


def test_last_ckpt_continues_its_run_and_any_other_checkpoint_starts_a_new_one(tmp_path: Path) -> None:
    run = write(tmp_path / "version_0", "config.yaml", "best.ckpt", "last.ckpt")
    for given in ("last", str(run), str(run / "last.ckpt")):
        assert run_to_fit(given, tmp_path) == (run, run / "last.ckpt")
    assert run_to_fit(str(run / "best.ckpt"), tmp_path) == (None, run / "best.ckpt")
    assert run_to_fit(None, tmp_path) == (None, None)


def test_a_run_killed_in_its_first_moments_is_restarted_in_its_directory(tmp_path: Path) -> None:
    (tmp_path / "version_0").mkdir()
    assert run_to_fit("last", tmp_path) == (tmp_path / "version_0", None)
    other = write(tmp_path / "version_1", "config.yaml", "last.ckpt")
    (tmp_path / "version_2").mkdir()
    assert run_to_fit("last", tmp_path) == (other, other / "last.ckpt")


@pytest.mark.parametrize("kept", ["best.ckpt", "best-step=5.ckpt", "metrics.csv", "test.json"])
def test_a_run_that_has_begun_is_never_started_over(tmp_path: Path, kept: str) -> None:
    run = write(tmp_path / "version_0", "config.yaml", "events.out.tfevents.1.host", kept)
    (run / kept).write_bytes(bytes(1000))
    for given in ("last", str(run)):
        with pytest.raises(UserError, match=f"no last.ckpt in {run}, so it cannot be resumed"):
            run_to_fit(given, tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"data: !!python/object/apply:os.system ['touch owned']\n", "is not plain YAML"),
        (b"data: [1\n", "is not plain YAML"),
        (b"data: {path: 2001-99-99}\n", "is not plain YAML"),
        (b"[" * 100_000, "is not plain YAML"),
        (b"\xff\xfe\x00", "is not plain YAML"),
        (b"- data\n", "is a list, not a YAML mapping"),
        (b"data: {path: a, path: b}\n", "gives path twice, again in line 1"),
    ],
)
def test_a_configuration_that_is_no_plain_mapping_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(UserError, match=reason) as refused:
        read_config(tmp_path)
    assert "\n" not in str(refused.value)
    assert not Path("owned").exists()


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

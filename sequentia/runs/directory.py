"""Run directories: which run and which checkpoint a command means.

A run is `<root>/version_N/` with config.yaml, TensorBoard's event files, metrics.csv, last.ckpt and best.ckpt, and the
results test.json and validate.json if its best checkpoint has been evaluated.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sequentia.errors import UserError
from sequentia.files import expanded

_EVENTS = "events.out.tfevents."
"""The first characters of the names of TensorBoard's files."""

ROOT = Path("checkpoints")
"""Runs are saved below this directory unless `trainer.default_root_dir` is given."""

BEST, LAST, CONFIG, METRICS, TEST = "best.ckpt", "last.ckpt", "config.yaml", "metrics.csv", "test.json"

log = logging.getLogger("sequentia")


def create_run(root: Path) -> Path:
    """Create the directory of a new run, `version_N` with N one above the highest number in `root`.

    Two processes that ask at the same moment get two directories, because creating a directory is atomic.

    Raises:
        UserError: The directory cannot be created.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        number = max((n for n, _ in _versions(root)), default=-1) + 1
        while True:
            run = root / f"version_{number}"
            try:
                run.mkdir()
                return run
            except FileExistsError:
                number += 1
    except OSError as error:
        raise UserError(f"cannot create a run directory in {root}: {error.strerror}; set default_root_dir") from error


def remove_if_never_begun(run: Path) -> None:
    """Remove the directory of a run that never reached its first step, so that `--ckpt_path last` does not find it."""
    if not (run / CONFIG).is_file() and not (run / LAST).is_file():
        with suppress(OSError):
            for path in run.glob(f"{_EVENTS}*"):  # TensorBoard's files, still empty
                path.unlink()
            run.rmdir()
            for parent in run.parents:
                if ROOT in (parent, *parent.parents):  # a directory of the user's is kept even if it is empty
                    parent.rmdir()


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other processes from writing to the same run; the kernel releases the lock when the process ends.

    Raises:
        UserError: Another process holds the lock.
    """
    handle = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(f"{run} is in use by another process: wait until it ends, or start a new run") from error
    try:
        yield
    finally:
        os.close(handle)


def read_config(run: Path) -> dict[str, Any]:
    """A run's config.yaml as plain values; nothing that it names is imported or called.

    Raises:
        UserError: The file is missing, or not a plain YAML mapping.
    """
    from sequentia.runs.config import parse_config  # imports yaml, which not every command needs

    path = run / CONFIG
    if not path.is_file():  # opening a pipe would wait for its writer
        raise UserError(f"no {CONFIG} in {run}: restore the file")
    try:
        return parse_config(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def run_to_fit(given: str | None, root: Path) -> tuple[Path | None, Path | None]:
    """For `fit`, the meaning of a checkpoint: the run to write to (None for a new one), and the checkpoint to resume.

    A run's last.ckpt continues that run; any other checkpoint starts a new run from it.

    Args:
        given: `last` (the newest run below `root`), a run directory, a directory of runs (its newest run), a checkpoint
            file, or None. Directories may be below `root`.
        root: Where runs are looked for.

    Raises:
        UserError: There is no such run or checkpoint.
    """
    if given is None:
        return None, None
    path = _meant(given, root)
    if path.is_file():
        is_last = path.name == LAST and (path.parent / CONFIG).is_file()
        return (path.parent if is_last else None), path
    run = path if (path / LAST).is_file() else newest_run(path)
    run = run or max(_versions(path), default=(0, None))[1]  # a run killed in its first moments has an empty directory
    if run is None:
        raise UserError(f"no run to resume in {path}: start a new one, or give a run directory or a checkpoint file")
    if (run / LAST).is_file():
        return run, run / LAST
    if not all(path.name.startswith((CONFIG, _EVENTS, ".")) for path in run.iterdir()):  # written before the first step
        raise UserError(f"no {LAST} in {run}, so it cannot be resumed: give another checkpoint, which starts a new run")
    log.warning(f"{run} was stopped before its first checkpoint: starting it from the beginning")
    return run, None


def find_checkpoint(given: str | None, root: Path = ROOT) -> Path:
    """The checkpoint that `--ckpt_path` means to every command but `fit`.

    Args:
        given: A checkpoint file, a run directory (its best checkpoint), a directory of runs (its newest trained run),
            or None or `last` for the newest trained run below `root`. Directories may be below `root`, such as `gru`.
        root: Where runs are looked for.

    Raises:
        UserError: There is no such checkpoint.
    """
    path = _meant(given, root)
    if path.is_file():
        return path
    is_run = (path / BEST).is_file() or (path / LAST).is_file()
    run = path if is_run else newest_run(path, trained=True)
    if run is not None:
        return run / (BEST if (run / BEST).is_file() else LAST)
    where = f"under {path}/ yet" if path == root or path.is_dir() else str(given)
    raise UserError(f"no checkpoint {where}: train a model with `sequentia fit`, or give a checkpoint file or a run")


def _meant(given: str | None, root: Path) -> Path:
    """The path that a user gave; if there is no such path, the one below `root`."""
    path = root if given in (None, "last") else Path(expanded(given))
    return path if path.exists() or not (root / path).exists() else root / path


def runs_below(root: Path) -> set[Path]:
    """The run directories anywhere below `root`, or `root` itself."""
    return {path.parent for name in (BEST, LAST, CONFIG) for path in root.glob(f"**/{name}")}


def newest_run(root: Path, trained: bool = False) -> Path | None:
    """The run anywhere below `root` whose config.yaml or checkpoints were written last; None if there is none.

    Args:
        root: A directory of runs, or of directories of runs.
        trained: Whether to skip runs that never completed a step.
    """
    written: list[tuple[int, Path]] = []
    for run in runs_below(root):
        times = [path.stat().st_mtime_ns for path in (*run.glob("*.ckpt"), run / CONFIG) if path.is_file()]
        if times:
            written.append((max(times), run))
    newest = (run for _, run in sorted(written, reverse=True))
    return next((run for run in newest if not trained or _is_trained(run)), None)


def _is_trained(run: Path) -> bool:
    """Whether a run has a checkpoint with at least one completed step."""
    if (run / BEST).is_file() or not (run / LAST).is_file():
        return (run / BEST).is_file()
    import torch  # slow, and few commands need it

    try:
        return bool(torch.load(run / LAST, map_location="cpu", weights_only=True)["global_step"])
    except Exception:  # the file is damaged, which is reported when it is loaded
        return True


def _versions(root: Path) -> list[tuple[int, Path]]:
    """Numbers and directories of the runs directly in `root`."""
    found = ((re.fullmatch(r"version_(\d+)", path.name), path) for path in root.glob("version_*") if path.is_dir())
    return [(int(match[1]), path) for match, path in found if match]

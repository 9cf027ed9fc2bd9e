"""Run directories: which run and which checkpoint a command means.

A run is `<root>/version_N/` with config.yaml, TensorBoard's event files, last.ckpt and best.ckpt.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sequentia.errors import UserError

ROOT = Path("checkpoints")
"""Runs are saved below this directory unless `trainer.default_root_dir` is given."""

BEST, LAST, CONFIG = "best.ckpt", "last.ckpt", "config.yaml"

_CONFIG_LIMIT = 1 << 20  # bytes; a run's config.yaml has a few thousand

_DEPTH_LIMIT = 50

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
        raise UserError(
            f"cannot create a run directory in {root}: {error.strerror}; set --trainer.default_root_dir"
        ) from error


def remove_if_never_begun(run: Path) -> None:
    """Remove the directory of a run that never reached its first step, so that `--ckpt_path last` does not find it."""
    if not (run / CONFIG).is_file() and not (run / LAST).is_file():
        with suppress(OSError):
            for path in run.glob("events.out.tfevents.*"):  # TensorBoard's files, still empty
                path.unlink()
            run.rmdir()


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other processes from writing to the same run; the kernel releases the lock when the process ends.

    Raises:
        UserError: Another process holds the lock.
    """
    if os.name == "nt":  # Windows has no such locks
        yield
        return
    import fcntl

    handle = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(
            f"{run} is in use by another process: wait until it ends, or omit --ckpt_path to start a new run"
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def read_config(run: Path) -> dict[str, Any]:
    """A run's config.yaml as plain values; nothing that it names is imported or called.

    Raises:
        UserError: It is missing, or not a plain YAML mapping.
    """
    import yaml

    path = run / CONFIG
    try:
        with path.open("rb") as file:
            content = file.read(_CONFIG_LIMIT + 1)
        if len(content) > _CONFIG_LIMIT:
            raise UserError(f"{path} is too long for the configuration of a run")
        # Nested aliases can expand to more than any memory holds, and deep nesting takes PyYAML quadratic time. The
        # files that `fit` writes have neither.
        depth = 0
        for event in yaml.parse(content, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > _DEPTH_LIMIT:
                raise UserError(f"{path} has an alias (*) or deep nesting, which the configuration of a run never has")
        config = yaml.load(content, yaml.SafeLoader)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is not the configuration of a run")
    return config


def run_to_fit(given: str | None, root: Path) -> tuple[Path | None, Path | None]:
    """What `fit --ckpt_path` means: the run to write to (None for a new one), and the checkpoint to resume from.

    A run's last.ckpt continues that run; any other checkpoint starts a new run from it.

    Raises:
        UserError: There is no such run or checkpoint.
    """
    if given is None:
        return None, None
    if given == "last":
        run = newest_run(root)
        if run is None:
            raise UserError(f"no run to resume under {root}: omit --ckpt_path to start one")
        if not (run / LAST).is_file():
            log.warning(f"{run} was stopped before its first checkpoint: starting it from the beginning")
            return run, None
        return run, run / LAST
    path = Path(given) / LAST if Path(given).is_dir() else find_checkpoint(given)
    if not path.is_file():
        raise UserError(f"no {LAST} in {given}: give a run directory that has one, or a checkpoint file")
    if path.name == LAST and (path.parent / CONFIG).is_file():
        return path.parent, path
    return None, path


def checkpoint_to_evaluate(given: str | None, root: Path) -> Path:
    """The checkpoint that `--ckpt_path` means to `validate` and `test`.

    Raises:
        UserError: There is no such run or checkpoint.
    """
    if given not in (None, "last", "best"):
        return find_checkpoint(given)
    run = newest_run(root)
    if run is None:
        raise UserError(f"no run under {root} yet: train one with `sequentia fit`, or give --ckpt_path")
    return run / LAST if given == "last" else best_checkpoint(run)


def find_checkpoint(given: str | None) -> Path:
    """The checkpoint that `--ckpt_path` means to other commands: a file, a run's best, or the newest run's best (None).

    Raises:
        UserError: There is no such checkpoint.
    """
    if given is None:
        return newest_checkpoint()
    path = Path(given)
    if path.is_dir():
        return best_checkpoint(path)
    if not path.is_file():
        raise UserError(f"no checkpoint {given}: give a checkpoint file or a run directory under {ROOT}/")
    return path


def newest_run(root: Path) -> Path | None:
    """The run in `root` with the highest number."""
    return max(_versions(root), default=(0, None))[1]


def newest_checkpoint(root: Path = ROOT) -> Path:
    """The best checkpoint of the most recently written run anywhere below `root`.

    Raises:
        UserError: There is none.
    """
    runs = {path.parent for name in (BEST, LAST) for path in root.glob(f"**/{name}")}
    written = [(max(path.stat().st_mtime_ns for path in run.glob("*.ckpt")), run) for run in runs]
    if not written:
        raise UserError(f"no checkpoint under {root}/ yet: train a model with `sequentia fit`, or give --ckpt_path")
    return best_checkpoint(max(written)[1])


def best_checkpoint(run: Path) -> Path:
    """A run's best.ckpt, or its last.ckpt if nothing has been validated yet.

    Raises:
        UserError: The directory has neither.
    """
    for name in (BEST, LAST):
        if (run / name).is_file():
            return run / name
    raise UserError(f"no checkpoint in {run}: give a run directory (with {BEST}) or a checkpoint file")


def _versions(root: Path) -> list[tuple[int, Path]]:
    """Numbers and directories of the runs directly in `root`."""
    found = ((re.fullmatch(r"version_(\d+)", path.name), path) for path in root.glob("version_*") if path.is_dir())
    return [(int(match[1]), path) for match, path in found if match]

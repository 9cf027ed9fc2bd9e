"""Where runs lie: `<root>/version_N/` with config.yaml, TensorBoard's event files, last.ckpt and best.ckpt."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sequentia.errors import UserError

ROOT = Path("checkpoints")
"""Every run lies below this directory unless `trainer.default_root_dir` says otherwise."""

BEST, LAST = "best.ckpt", "last.ckpt"


def create_run(root: Path) -> Path:
    """Make the directory of a new run, `version_N` with N one more than the highest there.

    Two processes that ask at the same moment get two directories: making a directory is atomic.

    Raises:
        UserError: The directory cannot be made or written.
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
            f"cannot make a run directory in {root}: {error.strerror}; set --trainer.default_root_dir"
        ) from error


def read_config(run: Path) -> dict[str, Any]:
    """A run's config.yaml, as plain values: nothing that it names is made, and nothing in it can grow.

    Raises:
        UserError: There is none, or it is no plain tree of options.
    """
    import yaml

    path = run / "config.yaml"
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_CONFIG + 1)
        if len(content) > _MOST_CONFIG:
            raise UserError(f"{path} is too long for a run's configuration")
        # An alias repeats a part: a few nested ones make a tree larger than any memory. Our own files have none.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content, yaml.SafeLoader)):
            raise UserError(f"{path} has an alias (*), which a run's configuration never has")
        config = yaml.load(content, yaml.SafeLoader)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is no plain YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is no run's configuration")
    return config


_MOST_CONFIG = 1 << 20  # bytes; a run's own has a few thousand


@contextmanager
def only_process(run: Path) -> Iterator[None]:
    """Keep other processes from going on with the same run; the kernel ends this with the process, however it dies.

    Raises:
        UserError: Another process is at it.
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
        raise UserError(f"{run} is in use by another process: wait for its end, or start a new run") from error
    try:
        yield
    finally:
        os.close(handle)


def newest_run(root: Path) -> Path | None:
    """The run under `root` with the highest number."""
    return max(_versions(root), default=(0, None))[1]


def newest_checkpoint(root: Path = ROOT) -> Path:
    """The best checkpoint of the run anywhere below `root` that was written last.

    Raises:
        UserError: There is none.
    """
    runs = {path.parent for name in (BEST, LAST) for path in root.glob(f"**/{name}")}
    written = [(max(path.stat().st_mtime_ns for path in run.glob("*.ckpt")), run) for run in runs]
    if not written:
        raise UserError(f"no checkpoint yet under {root}/: train a model with `sequentia fit`, or give --ckpt_path")
    return best_checkpoint(max(written)[1])


def best_checkpoint(run: Path) -> Path:
    """The checkpoint that a run directory stands for: best.ckpt, or last.ckpt where nothing was validated yet.

    Raises:
        UserError: The directory holds neither.
    """
    for name in (BEST, LAST):
        if (run / name).is_file():
            return run / name
    raise UserError(f"no checkpoint in {run}: give a run directory (with {BEST}) or a checkpoint file")


def find_checkpoint(path: str | None) -> Path:
    """The checkpoint file that `--ckpt_path` means: a file, a run directory's best, or, if None, the newest run's best.

    Raises:
        UserError: There is no such checkpoint.
    """
    if path is None:
        return newest_checkpoint()
    given = Path(path)
    if given.is_dir():
        return best_checkpoint(given)
    if not given.is_file():
        raise UserError(f"no checkpoint {path}: give a checkpoint file or a run directory under {ROOT}/")
    return given


def _versions(root: Path) -> list[tuple[int, Path]]:
    """Numbers and directories of the runs directly in `root`."""
    found = ((re.fullmatch(r"version_(\d+)", path.name), path) for path in root.glob("version_*") if path.is_dir())
    return [(int(match[1]), path) for match, path in found if match]

"""Helpers for the tests of runs: starting them, and comparing their files."""

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.directory import METRICS

CONFIGS = Path(__file__).parents[2] / "configs"
LINES = [a + b + c for a in "bdklmnrstv" for b in "aeiou" for c in ("la", "n", "rin", "", "tte")]
"""250 lines: about 13 batches per epoch."""

COMMON = (
    "--data.path lines.txt --data.batch_size 16 --trainer.accelerator cpu --trainer.log_every_n_steps 1 "
    "--model.n_embd 16 --model.n_layer 1 --model.n_head 2 --model.dropout 0.1"
)
SETTINGS = {
    "every 5 steps": "--trainer.max_steps 40 --trainer.val_check_interval 7 --checkpoint.every_n_train_steps 5",
    "after validation only": "--trainer.max_steps 40 --trainer.val_check_interval 6",
    "accumulating": (
        "--trainer.max_steps 15 --trainer.accumulate_grad_batches 3 --trainer.val_check_interval 7 "
        "--checkpoint.every_n_train_steps 2"
    ),
    "by epochs": (
        "--trainer.max_steps -1 --trainer.max_epochs 4 --trainer.limit_train_batches 9 "
        "--trainer.val_check_interval 1.0 --trainer.check_val_every_n_epoch 1 --checkpoint.every_n_train_steps 4"
    ),
    "nothing held out": (
        "--trainer.max_steps 30 --data.val_fraction 0 --data.test_fraction 0 --checkpoint.every_n_train_steps 3"
    ),
    "the best two": (
        "--trainer.max_steps 40 --trainer.val_check_interval 5 --checkpoint.save_top_k 2 "
        "--checkpoint.monitor val/perplexity --checkpoint.every_n_train_steps 3"
    ),
    "one cycle": (
        "--trainer.max_steps 30 --trainer.val_check_interval 7 --checkpoint.every_n_train_steps 5 "
        "--lr_scheduler torch.optim.lr_scheduler.OneCycleLR --lr_scheduler.max_lr 0.01"
    ),
    "exponential over epochs": (
        "--trainer.max_steps 45 --trainer.val_check_interval 8 --checkpoint.every_n_train_steps 5 "
        "--lr_scheduler torch.optim.lr_scheduler.ExponentialLR --lr_scheduler.gamma 0.5"
    ),
}

Curves = dict[str, list[tuple[int, float]]]

RATE = "vitals/lr_embeddings"
"""The learning rate of a group that every model with gradients has."""

SPEEDS = {"vitals/chars_per_second", "vitals/seconds"}
"""Curves that no two runs have in common."""


@contextmanager
def default_signals() -> Iterator[None]:
    """Processes started in this block ignore no signal that stops a run.

    They inherit what this process ignores: SIGHUP if pytest was started by nohup, SIGINT if it runs in the background.
    """
    ignored = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


class ForkServer:
    """Starts `sequentia` in separate processes; see fork_server.py."""

    def __init__(self) -> None:
        command = [sys.executable, str(Path(__file__).with_name("fork_server.py"))]
        with default_signals():
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, cwd: Path, arguments: list[str], kill: Any = None, **more: Any) -> int:
        request = {"arguments": arguments, "cwd": str(cwd), "log": str(cwd / "log"), "kill": kill, **more}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def curves(run: Path) -> Curves:
    """The scalars of a run in TensorBoard: steps and values of each tag."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def rows(run: Path) -> list[dict[str, str]]:
    """The rows of a run's metrics.csv."""
    with (run / METRICS).open(newline="") as file:
        return list(csv.DictReader(file))


def without_speeds(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in SPEEDS}


def same(a: Any, b: Any, where: str = "") -> None:
    """Assert that two trees of plain values and tensors are bit-identical."""
    assert type(a) is type(b), where
    if isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}.{i}")
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, where
        assert torch.equal(a.view(torch.uint8) if a.ndim else a, b.view(torch.uint8) if b.ndim else b), where
    else:
        assert a == b, where


def same_checkpoints(a: Path, b: Path) -> None:
    """Assert that two checkpoints are bit-identical: weights, optimizer, schedule, progress, best score."""
    one, other = read_checkpoint(a), read_checkpoint(b)
    for checkpoint, path in ((one, a), (other, b)):
        state = checkpoint["callbacks"]["BestCheckpoint"]
        for name, value in state.items():  # the run directories differ
            if isinstance(value, str):
                state[name] = value.replace(str(path.parent.resolve()), "")
            elif isinstance(value, dict):
                state[name] = {key.replace(str(path.parent.resolve()), ""): score for key, score in value.items()}
    same(one, other)


def same_runs(a: Path, b: Path) -> None:
    """Assert that the checkpoints and curves of two runs are bit-identical, and that no temporary file is left."""
    for name in ("last.ckpt", "best.ckpt"):
        assert (a / name).exists() == (b / name).exists(), name
        if (a / name).exists():
            same_checkpoints(a / name, b / name)
    one, other = curves(a), curves(b)
    assert one.keys() == other.keys()
    for tag, curve in one.items():
        steps = [step for step, _ in curve]
        assert steps == sorted(set(steps)), tag
        assert steps == [step for step, _ in other[tag]], tag
        assert tag in {*SPEEDS, "summary/seconds"} or curve == other[tag], tag
    assert [without_speeds(row) for row in rows(a)] == [without_speeds(row) for row in rows(b)]
    assert not [path.name for run in (a, b) for path in run.iterdir() if path.name.startswith(".")]


def arguments(setting: str) -> list[str]:
    return ["fit", "--config", str(CONFIGS / "transformer.yaml"), *COMMON.split(), *SETTINGS[setting].split()]


class Uninterrupted:
    """Runs that were never interrupted, each trained when it is first needed."""

    def __init__(self, fit: ForkServer, root: Path) -> None:
        self.fit, self.root = fit, root

    def workdir(self, name: str) -> Path:
        """A new directory with the data."""
        cwd = self.root / name
        cwd.mkdir()
        (cwd / "lines.txt").write_text("\n".join(LINES))
        return cwd

    def __call__(self, setting: str) -> Path:
        if not (self.root / setting).is_dir():
            assert self.fit(self.workdir(setting), arguments(setting)) == 0
        return the_run(self.root / setting)


def the_run(cwd: Path) -> Path:
    (run,) = (cwd / "checkpoints" / "transformer").iterdir()
    return run

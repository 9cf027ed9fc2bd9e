"""Where the seconds of a whole `sequentia fit` go, from the start of Python to its end.

Functions are timed while the command runs. The operators of a step are from torch.profiler, in a second, short run,
because it slows the steps down: their shares are applied to the time of all forward and backward passes.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, Trainer

import sequentia.data.module
import sequentia.training.logs.samples
from benchmarks.report import Table
from sequentia.data import TrainBatches
from sequentia.inference.batch import Batch
from sequentia.models import LanguageModel
from sequentia.optim import Muon
from sequentia.training.logs.tensorboard import TensorBoardSummary

_STEPS, _SLICE = 41, range(20, 40)  # steps of the second run, and those that torch.profiler records

_PROGRAM = """
import json, sys
from sequentia.cli import main
from sequentia.commands import fit

def timed(*arguments):
    import sequentia.training.cli
    from benchmarks.speed.profile import Stages
    Stages.begin(float(sys.argv[1]))
    return train(*arguments)

train, fit.run_training = fit.run_training, timed
assert main(["fit", "--trainer.callbacks=benchmarks.speed.profile.Stages", *sys.argv[2:]]) == 0
from benchmarks.speed.profile import Stages
print(json.dumps([Stages.seconds, Stages.since, Stages.operators()]))
"""
"""Trains with the options argv[2:], in a process started at argv[1]; prints what `Stages` recorded as JSON."""

_NETWORK, _FIRST, _LOOP, _END = "forward and backward", "start of training, first step", "loop, hooks, logs", "closing"
_OPERATORS = {
    "matrix products": r"aten::(mm|addmm|bmm|baddbmm|mv|addmv|.*convolution.*|.*linear.*)$",
    "attention": r"aten::.*attention",
    "indexing and copies": r"aten::.*(index|gather|scatter|embedding|copy|cat|split|empty|sort|view|where|fill_|zero)",
    "element-wise (GELU, layer norm, dropout, softmax, sums, ...)": r"aten::",
    "Python and autograd": "",
}
"""Kind -> the names of its operators, the first that matches."""


class Stages(Callback):
    """The wall time of each stage, without the stages inside of it. One process trains once, so all is on the class."""

    seconds: ClassVar[dict[str, float]] = defaultdict(float)
    since: ClassVar[float]
    _stack: ClassVar[list[str]] = ["start of Python, imports"]
    _profiler: ClassVar[torch.profiler.profile | None] = None

    @classmethod
    def begin(cls, started: float) -> None:
        """End the imports, and have the functions timed that make up a stage."""
        cls.since = started
        cls._enter("options, building the model")
        cls._time(sequentia.data.module, "read_corpus", "reading data")
        cls._time(LanguageModel, "training_step", _NETWORK)
        cls._time(LanguageModel, "backward", _NETWORK)
        cls._time(Trainer, "save_checkpoint", "checkpoints")
        cls._time(sequentia.training.logs.samples, "metrics", "samples at validations")
        cls._time(TensorBoardSummary, "on_fit_end", "pictures at the end")
        step: Any = Muon.step
        batches = TrainBatches.__iter__

        def timed_step(self: Muon, closure: Any = None) -> Any:
            return cls._timed("optimizer", step)(self, cls._timed(_LOOP, closure))

        def timed_batches(self: TrainBatches) -> Iterator[Batch]:
            return iter(cls._timed("making batches", batches(self).__next__), None)  # until StopIteration

        Muon.step = timed_step  # type: ignore[method-assign]
        TrainBatches.__iter__ = timed_batches  # type: ignore[method-assign]

    @classmethod
    def _time(cls, owner: Any, name: str, stage: str) -> None:
        setattr(owner, name, cls._timed(stage, getattr(owner, name)))

    @classmethod
    def _timed(cls, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)  # Lightning reads the signature of training_step
        def call(*args: Any, **kwargs: Any) -> Any:
            cls._enter(stage)
            try:
                with torch.profiler.record_function(stage):
                    return function(*args, **kwargs)
            finally:
                cls._leave()

        return call

    @classmethod
    def _enter(cls, stage: str) -> None:
        now = time.time()
        cls.seconds[_FIRST if _FIRST in cls._stack else cls._stack[-1]] += now - cls.since
        cls.since = now
        cls._stack.append(stage)

    @classmethod
    def _leave(cls) -> None:
        cls._enter("")
        del cls._stack[-2:]

    def on_train_start(self, *args: Any) -> None:
        """End the stage before."""
        self._enter(_FIRST)

    def on_train_batch_start(self, trainer: Trainer, *args: Any) -> None:
        """Start and stop torch.profiler in a short run."""
        if trainer.max_steps == _STEPS and trainer.global_step == _SLICE.start:
            Stages._profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
            Stages._profiler.start()
        elif self._profiler is not None and trainer.global_step == _SLICE.stop:
            self._profiler.stop()

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """End the first step."""
        if _FIRST in self._stack:
            self._enter(_LOOP)
            Stages._stack = [_LOOP]

    def on_validation_start(self, *args: Any) -> None:
        """Start a validation."""
        self._enter("validations")

    def on_validation_end(self, *args: Any) -> None:
        """End it."""
        self._leave()

    def on_train_end(self, *args: Any) -> None:
        """End the last step."""
        self._enter(_END)

    @classmethod
    def operators(cls) -> dict[str, float]:
        """Kind of operator -> its time in the recorded forward and backward passes."""
        found: dict[str, float] = defaultdict(float)
        for event in cls._profiler.events() if cls._profiler is not None else ():
            above = event
            while above is not None and above.name not in (_NETWORK, "optimizer", "samples at validations"):
                above = above.cpu_parent
            if above is not None and above.name == _NETWORK:
                kind = next(kind for kind, names in _OPERATORS.items() if re.match(names, event.name))
                found[kind] += event.self_cpu_time_total
        return found


def measure(config: str, *options: str) -> tuple[dict[str, float], dict[str, float]]:
    """Stage -> seconds of a whole command, and kind of operator -> time, empty unless the run is short."""
    with tempfile.TemporaryDirectory() as root:
        arguments = [f"--config={config}", f"--trainer.default_root_dir={root}", "--trainer.accelerator=cpu", *options]
        command = [sys.executable, "-c", _PROGRAM, str(time.time()), *arguments]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True, check=True)
    seconds, since, operators = json.loads(done.stdout)
    return seconds | {_END: seconds.get(_END, 0) + time.time() - since}, operators


def run(quick: bool) -> str:
    """Measure; returns the table."""
    limit, columns = "00:00:30" if quick else "00:01:00", {}
    for config in ("transformer", "mixture"):
        _, operators = measure(config, f"--trainer.max_steps={_STEPS}", f"--trainer.val_check_interval={_STEPS}")
        seconds, _ = measure(config, f"--trainer.max_time={limit}")
        whole, passes = sum(seconds.values()), seconds.pop(_NETWORK)
        steps = {kind: passes * operators.get(kind, 0) / sum(operators.values()) for kind in _OPERATORS}
        columns[config] = steps | seconds | {"sum": whole}
    table = Table("stage", *(heading for config in columns for heading in (f"{config}, seconds", "of all")))
    for stage in dict.fromkeys(stage for column in columns.values() for stage in column):
        own = ((column.get(stage, 0.0), column["sum"]) for column in columns.values())
        table.add(stage, *(cell for value, whole in own for cell in (f"{value:.2f}", f"{value / whole:.1%}")))
    return f"## Where the seconds go\n\n{table}\n"

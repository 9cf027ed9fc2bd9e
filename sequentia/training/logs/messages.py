"""The messages of a run."""

import logging
import os
import shlex
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from tqdm import tqdm

from sequentia.data import CharDataModule
from sequentia.runs.directory import METRICS, ROOT
from sequentia.text import for_terminal, in_python, messages, printable
from sequentia.training.logs.tensorboard import RunTensorBoard
from sequentia.training.loop.checkpointing import BestCheckpoint
from sequentia.training.loop.length import describe_progress, planned_steps, steps_per_epoch

log = logging.getLogger("sequentia")


@contextmanager
def plain_messages(python: bool = False) -> Iterator[None]:
    """Log plain lines and silence Lightning's tips until the block ends.

    If the program has given the logger `sequentia` handlers of its own, they are used instead.
    """
    handler = _AboveBar(python)
    loggers = [logging.getLogger(name) for name in ("py.warnings", "lightning.pytorch", "lightning.fabric")]
    before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in (log, *loggers)]
    hook = threading.excepthook
    captured = getattr(warnings.showwarning, "__module__", None) == "logging"
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # caused by Lightning
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        # If TensorBoard's thread fails, the next write raises the same error in its caller.
        writer = "tensorboard."
        threading.excepthook = lambda e: None if type(e.thread).__module__.startswith(writer) else hook(e)
        for logger in (log, loggers[0]):
            if not logger.handlers:
                logger.handlers, logger.propagate = [handler], False
                logger.setLevel(logging.INFO if rank_zero_only.rank == 0 else logging.WARNING)
        for logger in loggers[1:]:
            logger.setLevel(logging.WARNING)
        logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # the report of --trainer.profiler
        # By the time of this check the run directory has config.yaml, and last.ckpt if the run is resumed.
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        # An empty validation split may be intended, and steps are logged by number, however many make an epoch.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        warnings.filterwarnings("ignore", "The number of training batches .* is smaller than the logging interval")
        warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # caused by Lightning
        try:
            yield
        finally:
            threading.excepthook = hook
            logging.captureWarnings(captured)
            for logger, level, propagate, handlers in before:
                logger.setLevel(level)
                logger.propagate, logger.handlers = propagate, handlers


class _AboveBar(logging.Handler):
    """Prints above the progress bar if one is open, without control characters from paths and data."""

    def __init__(self, python: bool) -> None:
        super().__init__()
        self._python = python

    def emit(self, record: logging.LogRecord) -> None:
        text = "\n".join(printable(line) for line in self.format(record).split("\n"))
        text = in_python(text) if self._python else text
        with suppress(OSError):  # the terminal was closed; the run must still be saved
            tqdm.write(for_terminal(text, messages()), file=messages())


def closing_message(run: Path, trainer: Trainer, saver: BestCheckpoint, classes: Iterable[str], python: bool) -> str:
    """The result of a run, and the commands or calls to continue with.

    Args:
        run: The run directory.
        trainer: The trainer at the end of the run.
        saver: The callback that has saved the run.
        classes: Classes of the user's that the commands have to trust.
        python: Whether the run was started by `sequentia.fit`.
    """
    step = trainer.global_step
    if trainer.fast_dev_run:
        return f"trial run complete at step {step}: nothing was saved"
    step = min(step, saver.last.step)  # less if the run failed where it could not be saved
    lines = [f"run {run}: {describe_progress(trainer, step)}{_result(trainer, saver)}"]
    if not trainer.interrupted and step < planned_steps(trainer):
        reason = ": the time limit is reached; to resume, give a longer one" if _time_is_over(trainer) else ""
        lines.insert(0, f"stopped early at step {step} of {planned_steps(trainer)}{reason}")
    trust = (f" --trust {module}" for module in dict.fromkeys(name.rpartition(".")[0] for name in classes))
    path = shlex.quote(str(run)) + "".join(trust)
    root, curves = run.parent, str(run / METRICS)  # the directory of all runs of this configuration
    if any(isinstance(logger, RunTensorBoard) for logger in trainer.loggers):
        curves = f"tensorboard --logdir {shlex.quote(str(ROOT if root.parent == ROOT else root))}"
    load = f'sequentia.load("{run}")'
    next_steps = {"sample": f"{load}.sample(20)" if python else f"sequentia sample {path}"}
    if len(cast(CharDataModule, trainer.datamodule).split.test):
        next_steps["test"] = f"sequentia.evaluate({load})" if python else f"sequentia test {path}"
    next_steps["curves"] = curves
    extension = _extension(trainer)
    if extension is not None and not saver.save_weights_only:
        given = "".join(f", {option}={value}" for option, value in extension.items())
        options = "".join(f" --trainer.{option} {value}" for option, value in extension.items())
        call, command = f'sequentia.fit(ckpt_path="{run}"{given})', f"sequentia fit --ckpt_path {path}{options}"
        next_steps["resume"] = call if python else command
    return "\n".join([*lines, *(f"  {name:9}{step}" for name, step in next_steps.items())])


def _result(trainer: Trainer, saver: BestCheckpoint) -> str:
    """The best validation NLL; without one, the last validation NLL or the last training NLL."""
    best, last = saver.best_model_score, trainer.callback_metrics.get("val/loss")
    name, value = "training NLL", trainer.callback_metrics.get("train/loss")
    if best is not None:
        name, value = "best validation NLL" if saver.monitor == "val/loss" else f"best {saver.monitor}", best
    elif last is not None:
        name, value = "validation NLL", last
    unit = " nats per character" if name.endswith("NLL") else ""
    return "" if value is None else f", {name} {value:.4f}{unit}"


def _time_is_over(trainer: Trainer) -> bool:
    timers = (callback for callback in trainer.callbacks if isinstance(callback, Timer))
    return any((timer.time_remaining() or 1) <= 0 for timer in timers)


def _extension(trainer: Trainer) -> dict[str, int] | None:
    """The trainer options with which a resumed run would have something left to do; None if there are none."""
    step, epoch = trainer.global_step, steps_per_epoch(trainer)
    if _time_is_over(trainer) or (trainer.lightning_module.single_epoch and step >= epoch):
        return None
    options = {}
    if 0 < trainer.max_steps <= step:
        options["max_steps"] = 2 * step
    if 0 < trainer.max_epochs * epoch <= step:
        options["max_epochs"] = 2 * trainer.max_epochs
    return options

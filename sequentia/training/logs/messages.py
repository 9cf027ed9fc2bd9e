"""The messages of a run, on stderr."""

import logging
import math
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.loggers import TensorBoardLogger
from tqdm import tqdm

from sequentia.runs.directory import BEST, LAST, METRICS, ROOT
from sequentia.text import printable
from sequentia.training.logs.curves import Curves
from sequentia.training.loop.checkpointing import BestCheckpoint
from sequentia.training.loop.length import planned_steps, steps_per_epoch
from sequentia.training.loop.resume import not_restored

log = logging.getLogger("sequentia")


@contextmanager
def plain_messages() -> Iterator[None]:
    """Log plain lines on stderr and silence Lightning's tips until the block ends.

    If the program has given the logger `sequentia` handlers of its own, they are used instead.
    """
    handler = _AboveBar()
    handler.setFormatter(_Plain("%(message)s"))
    loggers = [logging.getLogger(name) for name in ("py.warnings", "lightning.pytorch", "lightning.fabric")]
    before = [(logger, logger.level, logger.propagate, logger.handlers) for logger in (log, *loggers)]
    captured = getattr(warnings.showwarning, "__module__", None) == "logging"
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # caused by Lightning
    with warnings.catch_warnings():
        logging.captureWarnings(True)
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
            logging.captureWarnings(captured)
            for logger, level, propagate, handlers in before:
                logger.setLevel(level)
                logger.propagate, logger.handlers = propagate, handlers


class _AboveBar(logging.Handler):
    """Prints on stderr, above the progress bar if one is open."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # the terminal was closed; the run is still to be saved
            tqdm.write(self.format(record), file=sys.stderr)


class _Plain(logging.Formatter):
    """Escapes control characters from paths and data, which could move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))


def closing_message(run: Path, trainer: Trainer, saver: BestCheckpoint, max_time: bool, trust: str) -> str:
    """The result of a run, and the commands to continue with.

    Args:
        run: The run directory.
        trainer: The trainer at the end of the run.
        saver: The callback that has saved the run.
        max_time: Whether a time limit was given as `trainer.max_time`, and not by a callback.
        trust: The options `--trust` that the commands need.
    """
    step = trainer.global_step
    if trainer.fast_dev_run:
        return f"trial run complete at step {step}: nothing was saved"
    lines = [f"run {run}: step {step}{_result(trainer, saver)}"]
    if not trainer.interrupted and step < planned_steps(trainer):
        lines.insert(0, f"stopped early at step {step} of {planned_steps(trainer)}{_reason(trainer)}")
    path = shlex.quote(str(run)) + trust
    if (run / BEST).is_file() or (run / LAST).is_file():
        lines.append(f"  sample   sequentia sample --ckpt_path {path}")
    if (curves := _curves(run, trainer)) is not None:
        lines.append(f"  curves   {curves}")
    extension = _extension(trainer, max_time)
    if extension is not None and (run / LAST).is_file() and not saver.save_weights_only:
        lines.append(f"  resume   sequentia fit --ckpt_path {path}{extension}")
    return "\n".join(lines)


def _result(trainer: Trainer, saver: BestCheckpoint) -> str:
    """The best validation NLL; without one, the last validation NLL or the last training NLL."""
    best, last = saver.best_model_score, trainer.callback_metrics.get("val/loss")
    (curves,) = (callback for callback in trainer.callbacks if isinstance(callback, Curves))
    name, value = "training NLL", curves.mean(trainer)
    if best is not None:
        name, value = "best validation NLL" if saver.monitor == "val/loss" else f"best {saver.monitor}", float(best)
    elif last is not None:
        name, value = "validation NLL", float(last)
    unit = " nats per character" if name.endswith("NLL") else ""
    return "" if value is None else f", {name} {value:.4f}{unit}"


def _expired(trainer: Trainer) -> Timer | None:
    """The timer that stopped the run."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    return next((timer for timer in timers if (timer.time_remaining() or 1) <= 0), None)


def _reason(trainer: Trainer) -> str:
    """Why a callback stopped the run; empty if unknown."""
    timer = _expired(trainer)
    if timer is not None:
        limit = timedelta(seconds=round(timer.time_elapsed() + (timer.time_remaining() or 0)))
        return f": the time limit of {limit} is reached"
    for callback in trainer.callbacks:
        if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
            reason = callback.stopping_reason_message.removesuffix(" Signaling Trainer to stop.").rstrip(".")
            return f": {reason[0].lower()}{reason[1:]}"
    return ""


def _extension(trainer: Trainer, max_time: bool) -> str | None:
    """The options with which a resumed run would have something left to do; None if there are none."""
    if not_restored(trainer) is not None:
        return None
    timer = _expired(trainer)
    if timer is not None:
        seconds = 2 * math.ceil(timer.time_elapsed())  # more than the limit: a last validation follows it
        clock = ":".join(f"{n:02}" for n in (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60))
        return f" --trainer.max_time {clock}" if max_time else None
    step, epoch = trainer.global_step, steps_per_epoch(trainer)
    if trainer.lightning_module.single_epoch and step >= epoch:
        return None
    options = ""
    if 0 < trainer.max_steps <= step:
        options += f" --trainer.max_steps {2 * step}"
    if 0 < trainer.max_epochs * epoch <= step:
        options += f" --trainer.max_epochs {2 * trainer.max_epochs}"
    return options


def _curves(run: Path, trainer: Trainer) -> str | None:
    """How to see the curves of the run; None if it has logged none."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger) and any(Path(logger.log_dir).glob("events.out.tfevents.*")):
            root = Path(logger.root_dir)  # of all runs of this configuration
            return f"tensorboard --logdir {shlex.quote(str(ROOT if root.parent == ROOT else root))}"
    return str(run / METRICS) if (run / METRICS).is_file() else None

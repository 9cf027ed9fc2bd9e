"""`--trainer.max_time` without a length: the number of steps that fit, measured before the run starts.

A run that a clock stops has not lowered its learning rate, and cannot be repeated. So the time is turned into a number
of steps, and everything after that is as if the user had given this number.
"""

import logging
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.seed import isolate_rng

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.training.loop.checkpointing import AtomicCheckpointIO, BestCheckpoint
from sequentia.training.loop.length import limited
from sequentia.training.options import as_list

_FRACTION, _SHORTEST, _LONGEST = 0.05, 2.0, 20.0  # of the time, and in seconds: how long steps are measured
_SLOW_STEPS = 5  # the first ones, in which the optimizer makes its state
_VALIDATION_BATCHES = 4  # that are measured; the others are like them
_ROUNDS = 10
_PROCESS = 0.5  # seconds in which Python starts and ends
_PICTURES = 3.0  # seconds in which the trained model is drawn


class Cost(NamedTuple):
    """What the parts of a run cost, in seconds.

    Attributes:
        start: From `Trainer.fit` to the first step.
        step: An optimizer step.
        validation: A validation, with its samples and checkpoints.
    """

    start: float
    step: float
    validation: float


def parse_time(time: str) -> timedelta:
    """A time limit as the Trainer takes it, `DD:HH:MM:SS`, or without the days.

    Raises:
        UserError: It is not a time.

    Example:
        >>> str(parse_time("00:10:00"))
        '0:10:00'
    """
    match = re.fullmatch(r"(?:(\d{1,5}):)?(\d{1,2}):(\d\d):(\d\d)", time.strip())
    if match is None:
        raise UserError(f"trainer.max_time {time[:40]!r} is not a time: give HH:MM:SS, such as 00:10:00 (ten minutes)")
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(days, seconds, minutes=minutes, hours=hours)


def steps_within(seconds: float, cost: Cost, interval: float) -> int:
    """The largest number of steps for which steps and validations take at most `seconds`; 0 if not even one fits.

    Args:
        seconds: The time after the start.
        cost: What steps and validations cost.
        interval: Steps from one validation to the next; the last step is always validated.

    Example:
        >>> steps_within(10.0, Cost(start=0.0, step=0.5, validation=1.0), interval=4)
        12
    """
    if interval == math.inf:
        return max(0, int((seconds - cost.validation) / cost.step))
    whole, rest = divmod(seconds, interval * cost.step + cost.validation)
    return int(whole) * int(interval) + max(0, int((rest - cost.validation) / cost.step))


class _Stopwatch(Checkpoint):
    """Times the parts of a run, and stops it after some seconds of steps.

    Lightning calls subclasses of Checkpoint last, so that what the others write is timed too.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._steps: list[float] = []  # seconds of the steps after which nothing was validated
        self._began = self._end = monotonic()
        self._start: float | None = None
        self._validation = self._batches = 0.0
        self._validated = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Note the end of start-up, or of a validation."""
        if self._start is None:
            self._end = monotonic()
            self._start = self._end - self._began
        elif self._validated:
            self._close(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the end of a batch."""
        now = monotonic()
        self._steps.append(now - self._end)
        self._end = now
        trainer.should_stop = trainer.should_stop or sum(self._steps[_SLOW_STEPS:]) >= self._seconds

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the start of the batches of a validation."""
        self._validated = True
        self._first_batch = monotonic()

    def on_validation_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Note their end."""
        self._batches = monotonic() - self._first_batch

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the end of the run, whose last validation and checkpoints follow the last step."""
        self._close(trainer)

    def _close(self, trainer: Trainer) -> None:
        now = monotonic()
        self._validation, self._end, self._validated = now - self._end, now, False

    def cost(self, accumulated: int, more_batches: float) -> Cost:
        """The cost of a run with the same options.

        Args:
            accumulated: Batches per step.
            more_batches: Batches of a whole validation per batch that was validated.
        """
        batches = self._steps[_SLOW_STEPS:] or self._steps
        step = accumulated * sum(batches) / len(batches)
        return Cost(self._start or 0.0, step, self._validation + self._batches * (more_batches - 1))


@dataclass
class Trial:
    """The first steps of a run, taken in a temporary directory to measure what they cost.

    Neither the model nor the state of any random number generator changes. The callbacks and loggers that the user
    adds are not measured, because they may write files of their own.

    Attributes:
        model: The model, with its optimizer and schedule set.
        data: The data.
        options: Options of the Trainer, completed by `set_length`.
        saver: What will save the run.
        callbacks: Makes the other callbacks of the run from a saver.
        compiled: Whether the run will compile the model.
        drawn: Whether the run will draw the trained model.
    """

    model: LanguageModel
    data: CharDataModule
    options: Namespace
    saver: BestCheckpoint
    callbacks: Callable[[BestCheckpoint], list[Callback]]
    compiled: bool = False
    drawn: bool = False

    @property
    def ending(self) -> float:
        """Seconds between the last checkpoint and the end of the process."""
        return _PROCESS + (_PICTURES if self.drawn else 0.0)

    def cost(self, seconds: float) -> Cost:
        """Measure steps for some seconds, then a validation.

        Raises:
            UserError: The loss diverges.
        """
        batches = limited(self.options.limit_val_batches, len(self.data.val_dataloader()))
        validated = min(_VALIDATION_BATCHES, batches)
        with TemporaryDirectory() as directory, isolate_rng(), _without_logs():
            saver = deepcopy(self.saver)
            saver.dirpath = directory
            stopwatch = _Stopwatch(seconds)
            trainer = Trainer(
                **self.options.as_dict()
                | dict.fromkeys(("max_time", "min_steps", "min_epochs", "profiler"))
                | {
                    "callbacks": [*self.callbacks(saver), saver, stopwatch],
                    "logger": TensorBoardLogger(directory) if self.options.logger in (None, True) else False,
                    "plugins": [*as_list(self.options.plugins), AtomicCheckpointIO()],
                    "default_root_dir": directory,
                    "limit_val_batches": validated,
                    "check_val_every_n_epoch": self.options.check_val_every_n_epoch and 1,
                    "enable_progress_bar": False,
                }
            )
            model = deepcopy(self.model)
            if self.compiled:
                model.compile(dynamic=True)
            try:
                trainer.fit(model, datamodule=self.data)
            finally:
                self.data.trainer = None
        return stopwatch.cost(self.options.accumulate_grad_batches, batches / max(1, validated))


@contextmanager
def _without_logs() -> Iterator[None]:
    """Log nothing but warnings and errors: the run itself will log the rest."""
    logger = logging.getLogger("sequentia")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def length_within(limit: timedelta, started: float, trial: Trial, interval: Callable[[int], float]) -> int | None:
    """The number of steps with which the command takes a given time; None if the loss diverges in the first ones.

    Args:
        limit: The time.
        started: When the command started, by `time.monotonic`.
        trial: Measures the run.
        interval: Steps between two validations of a run of so many steps.

    Raises:
        UserError: Not even one step fits.
    """
    end = started + limit.total_seconds() - trial.ending
    trial.data.setup("fit")  # what it reads and computes once is not part of the start that is measured
    try:
        trial.cost(0.0)  # imports what is imported on first use
        cost = trial.cost(min(_LONGEST, max(_SHORTEST, _FRACTION * limit.total_seconds())))
    except UserError:
        return None  # the run will diverge in the same step, and say so
    available = end - monotonic() - cost.start
    steps = longest = max(1, int(available / cost.step))
    for _ in range(_ROUNDS):  # a shorter run is validated more often
        steps = min(longest, steps_within(available, cost, interval(max(1, steps))))
        if steps == longest:
            break
        longest = steps
    if steps < 1:
        least = monotonic() - started + trial.ending + cost.start + cost.step + cost.validation
        raise UserError(
            f"trainer.max_time {limit} is too short: start-up, one step and one validation take {least:.0f} seconds"
        )
    return steps

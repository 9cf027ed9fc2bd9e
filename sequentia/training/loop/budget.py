"""`--trainer.max_time` without a length: the best model in that time.

A run that a clock stops has not lowered its learning rate, and cannot be repeated. So the clock decides the length,
and the schedule follows it. For the last tenth of the run the length is fixed, as if the user had given it.
"""

import logging
import re
from datetime import timedelta
from time import monotonic
from typing import Any, cast

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.schedule import WarmupDecay
from sequentia.training.loop.checkpointing import LastCheckpoint, SaveConfig
from sequentia.training.loop.length import (
    UNDECIDED,
    describe_length,
    in_batches,
    steps_per_epoch,
    validation_interval,
    validation_time,
)

_SLOW_STEPS = 5  # the first ones, in which the optimizer makes its state
_RECENT, _FIRST, _FIXED = 0.05, 0.05, 0.9  # of the time: averaged, before the first estimate, before the last
_ENDING = 2.0  # seconds to draw the trained model and to exit Python

log = logging.getLogger("sequentia")


def parse_time(time: str, option: str = "max_time") -> timedelta:
    """A time as options of the Trainer take it, `DD:HH:MM:SS`, or without the days.

    Raises:
        UserError: The text is not a time.

    Example:
        >>> str(parse_time("00:10:00"))
        '0:10:00'
    """
    match = re.fullmatch(r"(?:(\d{1,5}):)?(\d{1,2}):(\d\d):(\d\d)", time.strip())
    if match is None:
        raise UserError(f"trainer.{option} {time[:40]!r} is not a time: give HH:MM:SS, such as 00:10:00 (ten minutes)")
    days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(days, seconds, minutes=minutes, hours=hours)


class Budget(Callback):
    """Gives a run the length with which the command takes a given time.

    Before each step the length is estimated: the completed steps, and those that fit into the rest of the time at the
    recent speed, validations included. When nine tenths of them are done, the length is fixed and recorded in
    config.yaml, so that a run resumed from there is bit-identical to an uninterrupted one. A run resumed earlier uses
    the rest of its time.

    Args:
        limit: The time, including start-up.
        started: When the command started, by `time.monotonic`.
        options: Options of the Trainer, as they are recorded.
        config: Writes config.yaml when the length is fixed.
        last: Writes last.ckpt then.
    """

    def __init__(
        self, limit: timedelta, started: float, options: Namespace, config: SaveConfig, last: LastCheckpoint
    ) -> None:
        self._limit, self._started, self._options, self._config, self._last = limit, started, options, config, last
        self._seconds = limit.total_seconds()
        self._used = 0.0  # seconds of the processes before this one
        self._interval: int | None = None  # batches between two validations
        self._fixed = self._validated = False
        self._step = self._validations = 0.0  # seconds of a step, of all validations
        self._validation: float | None = None  # seconds of the latest validation
        self._steps = 0  # measured
        self._since: float | None = None  # when the current step began

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore the time used so far."""
        self._used, self._interval = checkpoint.get("max_time", (0.0, None))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the time used so far."""
        if not self._fixed:
            checkpoint["max_time"] = [self._used + monotonic() - self._started, self._interval]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the time that is left.

        Raises:
            UserError: No time is left, or a schedule needs the length in advance.
        """
        self._longest = trainer.max_steps  # more would overfit
        self._first = monotonic()
        self._validation_time = validation_time(cast(CharDataModule, trainer.datamodule), steps_per_epoch(trainer))
        if self._left() <= 0:
            raise UserError(f"trainer.max_time {self._limit} is over before the first step: give more time")
        for scheduler in (config.scheduler for config in trainer.lr_scheduler_configs):
            if hasattr(scheduler, "total_steps") and not isinstance(scheduler, WarmupDecay):
                name = type(scheduler).__name__
                raise UserError(f"{name} needs the length in advance: give --trainer.max_steps, not max_time alone")
        if self._interval:
            trainer.val_check_batch = self._interval
        if trainer.is_global_zero:
            left = timedelta(seconds=round(self._left()))
            log.info(f"training for {left}, until trainer.max_time {self._limit} is over")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note that the time before the next step includes a validation."""
        self._validated = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Estimate the length, or fix it."""
        if self._fixed or batch_idx % trainer.accumulate_grad_batches:
            return
        self._measure(monotonic())
        # The clocks of several processes differ, but all must take the same number of steps.
        total, known = trainer.strategy.broadcast(self._estimate(trainer.global_step))
        trainer.fit_loop.epoch_loop.max_steps = total
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, WarmupDecay):
                config.scheduler.resize(total)
        fixed = trainer.global_step + 1 >= total or trainer.global_step >= _FIXED * total
        if (known or fixed) and trainer.val_check_batch == UNDECIDED:
            interval = validation_interval(total, self._validation_time)
            if fixed or interval < total:  # a single validation is that of the last step
                batches, accumulated = int(trainer.num_training_batches), trainer.accumulate_grad_batches
                trainer.val_check_batch = self._interval = in_batches(interval, batches, accumulated)
        if fixed:
            self._fix(trainer, pl_module)

    def _measure(self, now: float) -> None:
        if self._since is not None:
            seconds = now - self._since
            self._steps += 1
            counted = self._steps - _SLOW_STEPS
            if self._validated:
                self._validation = max(0.0, seconds - self._step)
                self._validations += self._validation
            elif counted <= 1:
                self._step = seconds
            else:
                weight = max(1 / counted, self._step / (_RECENT * self._seconds))
                self._step += (seconds - self._step) * min(1.0, weight)
        self._since, self._validated = now, False

    def _left(self) -> float:
        """Seconds from now to the last checkpoint."""
        return self._seconds - self._used - _ENDING - (monotonic() - self._started)

    def _estimate(self, step: int) -> tuple[int, bool]:
        """The length, and whether enough steps were measured for more than a guess."""
        if self._steps == 0:
            return self._longest, False
        each = self._step + self._validations / self._steps
        validation = self._step * self._validation_time if self._validation is None else self._validation
        total = min(self._longest, step + max(1, int((self._left() - validation) / each)))
        return total, monotonic() - self._first >= _FIRST * self._seconds

    def _fix(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._fixed = True
        self._options.max_steps, self._options.max_time = trainer.max_steps, None
        self._options.val_check_interval = self._interval or self._options.val_check_interval
        self._config.on_train_start(trainer, pl_module)
        self._last.write(trainer)
        if trainer.is_global_zero:
            log.info(describe_length(trainer))
            if trainer.max_steps == self._longest:
                log.info("more steps would overfit, so not all of the time is used")

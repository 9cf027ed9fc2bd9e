"""The default length of a run, and the default intervals of its validations and logs."""

import logging
import math
import sys
from datetime import timedelta

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sequentia.data import CharDataModule
from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.training.loop.processes import processes

_STEPS = 2_800  # a few minutes of the Transformer on two cores
_EPOCHS, _CHARACTERS = 28, 160_000  # the best number of epochs, measured on training data of this size
_VALIDATIONS, _FEWEST_VALIDATIONS, _SHORT_INTERVAL = 14, 4, 20
_VALIDATION_COST = 0.05  # largest fraction of the training time for validations beyond the fewest
_FEWEST_COST = 0.25  # and for those: where four take longer, there are fewer
_POINTS, _LOG_INTERVALS, _TIMED_LOG_INTERVAL = 60, (1, 2, 5, 10, 20, 50), 10

UNDECIDED = sys.maxsize
"""The validation interval of a run whose length a clock has not decided yet."""

log = logging.getLogger("sequentia")


def best_steps(characters: int, steps_per_epoch: float) -> int:
    """The number of optimizer steps beyond which a model overfits training lines with this many predicted characters.

    The number of epochs that minimizes the validation NLL grows with the fourth root of the size of the data.
    """
    return math.ceil(_EPOCHS * (characters / _CHARACTERS) ** 0.25 * steps_per_epoch)


def default_steps(characters: int, steps_per_epoch: float) -> int:
    """Default number of optimizer steps: the best one, or as many as take a few minutes if that is less."""
    return min(_STEPS, best_steps(characters, steps_per_epoch))


def logging_interval(steps: int) -> int:
    """Default number of steps between two points of the training curves: 60 to 150 points, more in very long runs."""
    return max(n for n in _LOG_INTERVALS if n == 1 or n * _POINTS <= steps)


def validation_interval(steps: int, validated: float = 0.0) -> int:
    """Default number of steps between two validations of a run of this length: 4 to 14, if it has so many steps.

    The longer a validation takes, the fewer there are, also fewer than 4 if these would take a quarter of the time.
    Each has a point of the training curves.

    Args:
        steps: Length of the run.
        validated: Time of a validation, in steps.
    """
    affordable = math.ceil(validated / _VALIDATION_COST)
    longest = max(1, steps // _FEWEST_VALIDATIONS, min(steps, math.ceil(validated / _FEWEST_COST)))
    interval = max(min(_SHORT_INTERVAL, longest), steps // _VALIDATIONS, min(affordable, longest))
    if interval > steps // 2:
        return steps  # the last step is validated anyway
    return interval - interval % logging_interval(steps)


def validation_time(data: CharDataModule, steps_per_epoch: int) -> float:
    """About how long a validation takes, in steps.

    Without the backward pass, a character takes a third of the time that it takes in training.
    """
    return data.val_characters / data.train_characters * steps_per_epoch / 3


def in_batches(steps: int, batches: int, accumulated: int) -> int:
    """A number of steps as Lightning counts them, in batches: `batches` in an epoch, `accumulated` in a step."""
    epochs, rest = divmod(steps, math.ceil(batches / accumulated))  # the last batch of an epoch always ends a step
    return epochs * batches + rest * accumulated


def set_length(trainer: Namespace, recorded: Namespace, data: CharDataModule, model: LanguageModel) -> bool:
    """Fill in the trainer options on length, validation and logging that are not given.

    A run whose length is given as four epochs or more is validated after each epoch.

    Args:
        trainer: Options of the Trainer, changed in place.
        recorded: The same options, which config.yaml will record; a length that a clock decides is not known yet.
        data: The data to train on.
        model: The model, with its schedule.

    Returns:
        Whether a clock decides the length: `max_time` is given without one. The options limit it.

    Raises:
        UserError: An option is out of range.
    """
    accumulated, interval = trainer.accumulate_grad_batches, trainer.val_check_interval
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch", "limit_train_batches", "val_check_interval"):
        if isinstance(trainer[name], int | float) and not trainer[name] > 0:  # NaN is refused too
            raise UserError(f"trainer.{name} must be above 0, got {trainer[name]}")
    if trainer.max_steps == 0:
        raise UserError("trainer.max_steps must be at least 1, or -1 for the default; got 0")
    by_epochs = trainer.max_epochs not in (None, -1)
    timed = False
    batches = math.ceil(len(data.train_dataloader()) / processes(trainer))  # of each process
    if trainer.max_steps == -1 and not by_epochs:
        timed = trainer.max_time is not None and not (trainer.fast_dev_run or model.single_epoch)
        per_epoch = math.ceil(batches / accumulated)  # the last batch of an epoch always ends a step
        trainer.max_steps = (best_steps if timed else default_steps)(data.train_characters, per_epoch)
    limit = trainer.overfit_batches or trainer.limit_train_batches
    if limit is not None:
        batches = max(1, min(batches, limit) if isinstance(limit, int) else int(batches * limit))
    per_epoch = math.ceil(batches / accumulated)
    lengths = (trainer.max_steps, trainer.max_epochs * per_epoch if by_epochs else -1)
    steps = min((length for length in lengths if length > 0), default=1)  # others are refused by the Trainer
    if trainer.log_every_n_steps is None:
        trainer.log_every_n_steps = _TIMED_LOG_INTERVAL if timed else logging_interval(steps)
    schedule = getattr(model.lr_scheduler, "func", None)
    # A plateau is one of the metric after each epoch; a model that counts is complete only then.
    each_epoch = model.single_epoch or (schedule is not None and issubclass(schedule, ReduceLROnPlateau))
    each_epoch = each_epoch or (by_epochs and trainer.max_epochs >= _FEWEST_VALIDATIONS)
    if trainer.check_val_every_n_epoch is None:
        if isinstance(interval, float) or (interval is None and each_epoch):  # a fraction or number of epochs
            trainer.check_val_every_n_epoch = 1
        elif interval is None:
            validations = validation_interval(steps, validation_time(data, per_epoch))
            trainer.val_check_interval = UNDECIDED if timed else in_batches(validations, batches, accumulated)
    known = ("log_every_n_steps", "check_val_every_n_epoch")
    for name in known if timed else (*known, "max_steps", "val_check_interval"):
        if not isinstance(trainer[name], timedelta):  # which is recorded as it was given
            recorded[name] = trainer[name]
    return timed


class LogLength(Callback):
    """Logs the length of a new run once the trainer knows its batches."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        if trainer.is_global_zero and trainer.ckpt_path is None:
            log.info(describe_length(trainer))


def steps_per_epoch(trainer: Trainer) -> int:
    """Optimizer steps per epoch, which may be limited to a part of the training lines."""
    return math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)


def planned_steps(trainer: Trainer) -> int:
    """Optimizer steps of a run that is not stopped early."""
    steps = int(trainer.estimated_stepping_batches)
    return min(steps, steps_per_epoch(trainer)) if trainer.lightning_module.single_epoch else steps


def describe_progress(trainer: Trainer, step: int) -> str:
    """How far a run has come after a number of steps; those of a model that counts say nothing."""
    return (
        "all lines counted"
        if trainer.lightning_module.single_epoch and step == planned_steps(trainer)
        else f"step {step}"
    )


def describe_length(trainer: Trainer) -> str:
    """Steps and epochs of a run, and the option that changes them."""
    steps = planned_steps(trainer)
    epochs = steps / steps_per_epoch(trainer)
    shown = f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"
    length = f"training for {steps:,} step{'s' * (steps != 1)} ({shown} epoch{'s' * (epochs != 1)})"
    if trainer.lightning_module.single_epoch and epochs == 1:
        return length
    option = "max_steps" if steps == trainer.max_steps else "max_epochs"
    return f"{length}; --trainer.{option} changes the length"

"""How long a run is, and how often it is validated, unless told."""

import logging
import math

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.data import CharDataModule
from sequentia.errors import UserError

log = logging.getLogger("sequentia")

_STEPS = 2_800  # the transformer's in a few minutes on two cores
_EPOCHS, _CHARACTERS = 28, 160_000  # so many times through so many characters is best for it
_VALIDATIONS, _LEAST_INTERVAL = 14, 20


def usual_steps(characters: int, steps_per_epoch: float) -> int:
    """Optimizer steps unless given: fewer on less data, which is sooner learnt by heart.

    Small data bears not only fewer steps but fewer epochs: the best number, by validation NLL, falls with the fourth
    root of the data's size.

    Args:
        characters: Predicted characters of all training lines.
        steps_per_epoch: Steps that they take once.
    """
    epochs = _EPOCHS * (characters / _CHARACTERS) ** 0.25
    return min(_STEPS, math.ceil(epochs * steps_per_epoch))


def set_length(trainer: Namespace, data: CharDataModule, each_epoch: bool = False) -> None:
    """Fill in the trainer's options on length and validation that are not given; a run by epochs is validated by them.

    Args:
        trainer: Options of the Trainer, changed in place.
        data: What it will train on.
        each_epoch: Whether the schedule of the learning rate wants a validation after each epoch.

    Raises:
        UserError: An option is out of its range.
    """
    gathered, interval = trainer.accumulate_grad_batches, trainer.val_check_interval
    for name, value in (("accumulate_grad_batches", gathered), ("val_check_interval", interval)):
        if isinstance(value, int | float) and value <= 0:
            raise UserError(f"trainer.{name} must be above 0, got {value}")
    if trainer.max_steps == 0:
        raise UserError("trainer.max_steps must be at least 1, or -1 for the usual length; got 0")
    by_epochs = trainer.max_epochs not in (None, -1)
    batches = math.ceil(len(data.train_dataloader()) / _processes(trainer))
    steps_per_epoch = math.ceil(batches / gathered)  # the last batch of an epoch ends a step, however few came before
    steps = usual_steps(int(data.corpus.predicted(data.split.train).sum()), steps_per_epoch)
    if trainer.max_steps == -1 and not by_epochs:
        trainer.max_steps = steps
    if trainer.check_val_every_n_epoch is not None:
        limit = trainer.overfit_batches or trainer.limit_train_batches or 1.0
        taken = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        if type(interval) is int and interval > taken:
            raise UserError(
                f"trainer.val_check_interval {interval} is more than an epoch's {taken} batches: "
                "leave out --trainer.check_val_every_n_epoch"
            )
    elif isinstance(interval, float) or (interval is None and (by_epochs or each_epoch)):
        trainer.check_val_every_n_epoch = 1  # a share of an epoch, or all of it
    elif interval is None:
        epochs, rest = divmod(max(_LEAST_INTERVAL, steps // _VALIDATIONS), steps_per_epoch)
        trainer.val_check_interval = epochs * batches + rest * gathered  # counted in batches


def _processes(trainer: Namespace) -> int:
    """Number of processes that the options make."""
    places = {name: trainer[name] for name in ("accelerator", "devices", "num_nodes")}
    made = Trainer(**places, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    return made.num_devices * made.num_nodes


class TellLength(Callback):
    """Tells how long a new run will be."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell it: now the trainer knows its batches."""
        if trainer.is_global_zero and trainer.ckpt_path is None:
            log.info(length(trainer))


def length(trainer: Trainer) -> str:
    """How long a run will be, in words."""
    steps = trainer.estimated_stepping_batches
    epochs = steps / math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
    option = "max_steps" if trainer.max_steps != -1 else "max_epochs"
    return f"{steps:,} steps, {epochs:,.3g} times through the training lines: --trainer.{option} sets another length"

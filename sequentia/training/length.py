"""How long a run is, and how often it is validated, unless told."""

import math

from jsonargparse import Namespace
from lightning.pytorch import Trainer

from sequentia.data import CharDataModule

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


def set_length(trainer: Namespace, data: CharDataModule) -> None:
    """Fill in the trainer's options on length and validation that are not given; a run by epochs is validated by them.

    Args:
        trainer: Options of the Trainer, changed in place.
        data: What it will train on.
    """
    by_epochs = trainer.max_epochs not in (None, -1)
    gathered = trainer.accumulate_grad_batches
    characters = int(data.corpus.predicted(data.split.train).sum())
    steps = usual_steps(characters, len(data.train_dataloader()) / gathered)
    if trainer.max_steps == -1 and not by_epochs:
        trainer.max_steps = steps
    if trainer.check_val_every_n_epoch is not None:
        return
    if isinstance(trainer.val_check_interval, float) or (trainer.val_check_interval is None and by_epochs):
        trainer.check_val_every_n_epoch = 1  # a share of an epoch, or all of it
    elif trainer.val_check_interval is None:
        trainer.val_check_interval = gathered * max(_LEAST_INTERVAL, steps // _VALIDATIONS)  # counted in batches


def length(trainer: Trainer, data: CharDataModule) -> str:
    """How long a run will be, in words."""
    steps = trainer.estimated_stepping_batches
    epochs = steps * trainer.accumulate_grad_batches / len(data.train_dataloader())
    return f"{steps:,} steps, {epochs:,.3g} times through the training lines: --trainer.max_steps sets another length"

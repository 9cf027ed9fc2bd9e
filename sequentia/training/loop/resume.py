"""A resumed run is bit-identical to an uninterrupted one, in every configuration that ships.

A step is made of three things: the weights and the optimizer's state, which Lightning's checkpoint holds; the batch,
which is a function of epoch and batch number (`sequentia.data.batches`); and random numbers (dropout), which are a
function of seed and step. So only Lightning's own progress counters have to be right.
"""

import logging
from collections.abc import Mapping, Set
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler, ModelPruning, StochasticWeightAveraging
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from sequentia.errors import UserError
from sequentia.models import LanguageModel
from sequentia.models.base import check_same_vocabulary
from sequentia.models.parts.saving import KEY, architecture_name
from sequentia.schedule import WarmupDecay
from sequentia.text import brief
from sequentia.vocabulary import Vocabulary

log = logging.getLogger("sequentia")


def check_fits(model: LanguageModel, checkpoint: dict[str, Any]) -> None:
    """Refuse to resume with weights of another architecture, size or vocabulary.

    Raises:
        UserError: The architecture, a hyperparameter or the vocabulary differs.
    """
    architecture, options = checkpoint[KEY]["architecture"], checkpoint["hyper_parameters"]
    remedy = "give --init_from in place of --ckpt_path, which starts a new run with any characters"
    check_same_vocabulary(Vocabulary.of(options["vocabulary"]), model.vocabulary, remedy)
    check_same_model(model, architecture, options, model.may_change, "the checkpoint")


def check_same_model(
    model: LanguageModel, architecture: str, options: Mapping[str, Any], free: Set[str], checkpoint: str
) -> None:
    """Refuse weights that were trained as another architecture or with other hyperparameters.

    Args:
        model: The model that is to have the weights.
        architecture: The architecture of the checkpoint.
        options: The hyperparameters of the checkpoint.
        free: Names of hyperparameters that may differ.
        checkpoint: The name of the checkpoint in the error message.

    Raises:
        UserError: The architecture or a hyperparameter differs.
    """
    ours = architecture_name(type(model))
    if architecture != ours:
        raise UserError(
            f"{checkpoint} is of class {architecture}, but the options ask for {ours}: give --model {architecture}, or "
            "another checkpoint"
        )
    fixed = {name: value for name, value in options.items() if name not in free and name in model.hparams}
    changed = [f"{k} {brief(v)} (not {model.hparams[k]})" for k, v in fixed.items() if v != model.hparams[k]]
    if changed:
        raise UserError(
            f"the model of {checkpoint} has {', '.join(changed)}: give its values as --model options, or another "
            "checkpoint"
        )


def check_unfinished(trainer: Namespace, checkpoint: dict[str, Any], name: str, single_epoch: bool) -> None:
    """Refuse to resume a run that has reached its length.

    Args:
        trainer: Options of the Trainer.
        checkpoint: The checkpoint to resume from.
        name: Its name in the error message.
        single_epoch: Whether a second epoch would change nothing.

    Raises:
        UserError: The run has reached its length, or has counted all lines.
    """
    try:
        epochs: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    except (KeyError, TypeError):
        epochs = 0  # no valid training state, which is reported when it is restored
    for option, limit, done in (
        ("max_steps", trainer.max_steps, checkpoint["global_step"]),
        ("max_epochs", trainer.max_epochs, epochs),
    ):
        if limit not in (None, -1) and done >= limit:
            remedy = f"extend it with --trainer.{option} {2 * done}"
            if single_epoch and epochs > 0:
                remedy = "it has counted all training lines"
            raise UserError(f"{name} has reached trainer.{option} {limit}, so nothing is left to train: {remedy}")


_LOST = {
    StochasticWeightAveraging: "its average of the weights (EMAWeightAveraging resumes exactly)",
    ModelPruning: "which weights it has pruned",
    GradientAccumulationScheduler: "the number of accumulated batches until the next epoch starts",
    ReduceLROnPlateau: "a validation of the epoch in which the run stopped",
}
"""Callbacks and schedules with which a resumed run is not bit-identical, and the state that it loses."""


class ExactResume(Callback):
    """Seeds every step by its number, and saves Lightning's progress so that a run resumes at exactly that step.

    Lightning's own counters depend on the hook in which a checkpoint is saved, and from some hooks a run resumes by
    skipping a validation or repeating a step. Here they are normalized: so many epochs complete, so many batches of the
    current epoch complete, nothing half done.

    Args:
        seed: Seed of the run.

    Attributes:
        under_way: Whether a step has completed since the start, so that the checkpoint is known to be valid.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.under_way = False
        self._options: dict[str, Any] = {}
        self._previous_options: dict[str, Any] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the options of optimizer and schedule before Lightning overwrites them with the checkpoint's.

        Raises:
            UserError: The checkpoint's optimizer or schedule is of another class.
        """
        used = [*trainer.callbacks, *(config.scheduler for config in trainer.lr_scheduler_configs)]
        for cls, lost in _LOST.items():
            if any(isinstance(one, cls) for one in used):
                log.warning(f"a resumed run is not bit-identical to an uninterrupted one: {cls.__name__} loses {lost}")
        self._options = _options(trainer)
        if trainer.ckpt_path is None:
            return
        if self._previous_options is None:
            raise UserError(f"{trainer.ckpt_path} has no training state: give a run's last.ckpt, or start a new run")
        for what in ("optimizer", "lr_scheduler"):
            if (now := self._options[what]) != (before := self._previous_options[what]):
                raise UserError(
                    f"the checkpoint's {what} is {before}, but the options ask for {now}, which cannot use its state; "
                    f"give --{what} {before}, or start a new run"
                )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Apply the options that differ from the checkpoint's, which Lightning has just restored."""
        if trainer.ckpt_path is None or self._previous_options is None:
            return
        _check_fused(trainer)
        now, before = self._options, self._previous_options
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        for scheduler, new, old in zip(schedulers, now["states"], before["states"], strict=True):
            # The state of a new schedule is its options, and counters that start the same in all of them.
            vars(scheduler).update({k: v for k, v in new.items() if old.get(k) != v and k != "_last_lr"})
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        for group, new, old in zip(groups, now["groups"], before["groups"], strict=True):
            changed = {name: value for name, value in new.items() if old.get(name) != value}
            if "lr" in changed:
                # A schedule has scaled the rate; the scale stays. WarmupDecay has already computed it for the new base.
                scaled = any(isinstance(scheduler, WarmupDecay) for scheduler in schedulers)
                changed["lr"] = group["lr"] if scaled else group["lr"] * new["lr"] / old["lr"]
            group.update(changed)

    def state_dict(self) -> dict[str, Any]:
        """The options of optimizer and schedule."""
        return {"options": self._options}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the options that the run has had so far."""
        self._previous_options = state_dict["options"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed the step."""
        loop = trainer.fit_loop.epoch_loop
        # Lightning counts the steps for its loggers separately, and adds one when it resumes after a validation.
        loop._batches_that_stepped = trainer.global_step
        key = [self.seed, loop.batch_progress.total.ready, trainer.global_rank]
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
        # torch.manual_seed also seeds devices that do not exist, formatting a traceback for each: 1.5 ms per step.
        torch.default_generator.manual_seed(seed)
        if pl_module.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Note that a step completed with everything that the checkpoint restored."""
        self.under_way = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Normalize Lightning's progress."""
        fit = checkpoint["loops"]["fit_loop"]
        batches, epochs = fit["epoch_loop.batch_progress"], fit["epoch_progress"]
        done, total = batches["current"]["processed"], batches["total"]["processed"]
        epoch = epochs["current"]["processed"]
        if epoch and epoch == epochs["current"]["started"]:
            epoch -= 1  # when a run ends, Lightning closes the epoch whether or not it is complete
        if done == trainer.num_training_batches:
            epoch, done = epoch + 1, 0
        _set(batches["total"], total, total)
        _set(batches["current"], done, done)
        batches["is_last_batch"] = False
        for progress in (epochs["total"], epochs["current"]):  # an epoch without a complete batch has not started
            _set(progress, epoch + (done > 0), epoch)
        validation = fit["epoch_loop.val_loop.batch_progress"]
        for progress in (validation["total"], validation["current"]):
            _set(progress, 0, 0)
        validation["is_last_batch"] = False
        optimizer = fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
        for progress in (fit["epoch_loop.scheduler_progress"], optimizer["step"], optimizer["zero_grad"]):
            # Counts since the start of the epoch or process, which nothing depends on.
            progress["current"].update(dict.fromkeys(progress["current"], 0))
        fit["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step


def _set(progress: dict[str, int], started: int, done: int) -> None:
    """Set Lightning's four counters: ready and started, processed and completed."""
    progress.update(ready=started, started=started, processed=done, completed=done)


def _options(trainer: Trainer) -> dict[str, Any]:
    """Classes and options of optimizer and schedule, as plain values."""
    optimizers, schedulers = trainer.optimizers, [config.scheduler for config in trainer.lr_scheduler_configs]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return {
        "optimizer": ", ".join(map(_class_path, optimizers)) or "none",
        "lr_scheduler": ", ".join(map(_class_path, schedulers)) or "none",
        "groups": [{key: deepcopy(value) for key, value in group.items() if key != "params"} for group in groups],
        # WarmupDecay follows its options by itself: none of them are state.
        "states": [{} if isinstance(s, WarmupDecay) else deepcopy(s.state_dict()) for s in schedulers],
    }


def _check_fused(trainer: Trainer) -> None:
    """Refuse a state that a fused kernel would read and write out of bounds: it does not check shapes.

    Raises:
        UserError: The optimizer's state has other shapes than its parameters.
    """
    for optimizer in trainer.optimizers:
        for parameter in (p for group in optimizer.param_groups if group.get("fused") for p in group["params"]):
            for name, value in optimizer.state.get(parameter, {}).items():
                shape = torch.Size() if name == "step" else parameter.shape
                if isinstance(value, Tensor) and (value.shape != shape or not value.is_contiguous()):
                    raise UserError(f"{trainer.ckpt_path}: the state of its optimizer does not fit the model")


def _class_path(instance: object) -> str:
    return f"{type(instance).__module__}.{type(instance).__qualname__}"

"""A resumed run goes on bit by bit as if it had never stopped.

Three things make a step: the weights and optimizer state, which Lightning's checkpoint holds; the batch, which is a
function of epoch and batch number (see `sequentia.data.batches`); and random numbers (dropout), which are made a
function of seed and step here. So only Lightning's own counters have to be right.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from sequentia.errors import UserError
from sequentia.schedule import WarmupDecay


class ExactResume(Callback):
    """Seeds every step by its number, and writes Lightning's progress so that it resumes at exactly that step.

    Lightning's own progress depends on the hook that a checkpoint was saved in, and some hooks resume by skipping a
    validation or repeating a step. Here all of them are brought to one form: so many epochs done, so many batches of
    the present one done, nothing half done.

    Args:
        seed: Seed of the run.

    Attributes:
        under_way: Whether a step was done since the start, so that the checkpoint is known to be good.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.under_way = False
        self._resumed = False
        self._options: dict[str, Any] = {}
        self._options_before: dict[str, Any] = {}
        self._loaded: dict[str, Any] | None = None

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the checkpoint until the optimizer is there, which its state must fit."""
        self._loaded = checkpoint

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the options that this start made optimizer and schedule with, before those of the checkpoint come.

        Raises:
            UserError: The checkpoint's optimizer or schedule is of another class, or its state does not fit.
        """
        self._options = _options(trainer)
        if trainer.ckpt_path is None:
            return
        if self._loaded is None or not isinstance(self._loaded.get("loops"), dict):
            raise UserError(f"{trainer.ckpt_path} has no training state: give a run's last.ckpt, or start a new run")
        for what in ("optimizer", "lr_scheduler"):
            now, before = (options[what]["class_path"] for options in (self._options, self._options_before))
            if now != before:
                raise UserError(
                    f"the checkpoint's {what} is {before}, the options ask for {now}: its state does not fit; "
                    f"give --{what} {before}, or start a new run"
                )

        for optimizer, state in zip(trainer.optimizers, self._loaded["optimizer_states"], strict=True):
            if not _fits(optimizer, state):
                raise UserError(
                    f"{trainer.ckpt_path}: its optimizer state does not fit the model; give another, or start a new run"
                )
        self._loaded = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the options of this start win over those the checkpoint restored."""
        self._resumed = trainer.ckpt_path is not None
        if not self._resumed:
            return
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        for scheduler, now, before in zip(
            schedulers,
            self._options["lr_scheduler"]["states"],
            self._options_before["lr_scheduler"]["states"],
            strict=True,
        ):
            # The state of a fresh schedule is its options, and counters that are the same in every fresh schedule.
            vars(scheduler).update({k: v for k, v in now.items() if before.get(k) != v and k != "_last_lr"})
        for group, now, before in zip(
            [group for optimizer in trainer.optimizers for group in optimizer.param_groups],
            self._options["optimizer"]["groups"],
            self._options_before["optimizer"]["groups"],
            strict=True,
        ):
            changed = {name: value for name, value in now.items() if before.get(name) != value}
            if "lr" in changed:
                # Where a schedule has brought the rate, as a share of its base, it stays.
                follows = any(isinstance(scheduler, WarmupDecay) for scheduler in schedulers)  # its own curve already
                changed["lr"] = group["lr"] if follows else group["lr"] * now["lr"] / before["lr"]
            group.update(changed)

    def state_dict(self) -> dict[str, Any]:
        """The options that optimizer and schedule were made with."""
        return {"options": self._options}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the options that the run had so far."""
        self._options_before = state_dict["options"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Seed the step."""
        loop = trainer.fit_loop.epoch_loop
        if self._resumed:
            # Lightning counts the steps for its loggers apart, and adds one where it resumes.
            loop._batches_that_stepped = trainer.global_step
            self._resumed = False
        key = [self.seed, loop.batch_progress.total.ready, trainer.global_rank]
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
        # torch.manual_seed seeds devices that are not there too, each by a formatted traceback: 1.5 ms a step.
        torch.default_generator.manual_seed(seed)
        if pl_module.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Note that all of the checkpoint was good for a step."""
        self.under_way = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Bring Lightning's progress to the one form."""
        fit = checkpoint["loops"]["fit_loop"]
        batches, epochs = fit["epoch_loop.batch_progress"], fit["epoch_progress"]
        done = batches["current"]["completed"]
        if batches["total"]["completed"] < batches["total"]["processed"]:
            done += 1  # saved in a hook at the batch's end, before Lightning counts it
        total = batches["total"]["processed"]
        epoch = epochs["current"]["processed"]
        if epoch and epoch == epochs["current"]["started"]:
            epoch -= 1  # Lightning closes the epoch at the run's end, finished or not
        if done == trainer.num_training_batches:
            epoch, done = epoch + 1, 0
        _set(batches["total"], total, total)
        _set(batches["current"], done, done)
        batches["is_last_batch"] = False
        # An epoch of which no batch is done has not started.
        for progress in (epochs["total"], epochs["current"]):
            _set(progress, epoch + (done > 0), epoch)
        validation = fit["epoch_loop.val_loop.batch_progress"]
        for progress in (validation["total"], validation["current"]):
            _set(progress, 0, 0)
        validation["is_last_batch"] = False
        optimizer = fit["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]
        for progress in (fit["epoch_loop.scheduler_progress"], optimizer["step"], optimizer["zero_grad"]):
            # What was counted since the epoch or process began: nothing depends on it.
            progress["current"].update(dict.fromkeys(progress["current"], 0))
        fit["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step


def _set(progress: dict[str, int], started: int, done: int) -> None:
    """Set Lightning's four counters: ready and started, processed and completed."""
    progress.update(ready=started, started=started, processed=done, completed=done)


def _options(trainer: Trainer) -> dict[str, Any]:
    """Classes and options of optimizer and schedule as they were made, in plain values."""
    optimizers, schedulers = trainer.optimizers, [config.scheduler for config in trainer.lr_scheduler_configs]
    return {
        "optimizer": {
            "class_path": ", ".join(map(_class_path, optimizers)) or "none",
            "groups": [
                {name: deepcopy(value) for name, value in group.items() if name != "params"}
                for optimizer in optimizers
                for group in optimizer.param_groups
            ],
        },
        "lr_scheduler": {
            "class_path": ", ".join(map(_class_path, schedulers)) or "none",
            "states": [deepcopy(_state(scheduler)) for scheduler in schedulers],
        },
    }


def _fits(optimizer: Optimizer, state: dict[str, Any]) -> bool:
    """Whether each tensor of an optimizer's saved state has its parameter's form.

    PyTorch does not look, and fused kernels would read and write beside the tensors.
    """
    numbers = [number for group in state["param_groups"] for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in zip(numbers, parameters, strict=True):
        for tensor in state["state"].get(number, {}).values():
            if not isinstance(tensor, Tensor) or tensor.numel() == 1:
                continue
            if tensor.layout != torch.strided or tensor.stride() not in (
                parameter.stride(),
                tensor.contiguous().stride(),
            ):
                return False
            if tensor.ndim != parameter.ndim or tensor.isnan().any():
                return False
            # A dimension may be averaged away, as Adafactor's are.
            if any(mine not in (1, its) for mine, its in zip(tensor.shape, parameter.shape, strict=True)):
                return False
    return True


def _class_path(made: object) -> str:
    return f"{type(made).__module__}.{type(made).__qualname__}"


def _state(scheduler: LRScheduler | ReduceLROnPlateau) -> dict[str, Any]:
    # What WarmupDecay's options make of it is no state: it follows them by itself.
    return {} if isinstance(scheduler, WarmupDecay) else scheduler.state_dict()

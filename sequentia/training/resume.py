"""A resumed run goes on bit by bit as if it had never stopped.

Three things make a step: the weights and optimizer state, which Lightning's checkpoint holds; the batch, which is a
function of epoch and batch number (see `sequentia.data.batches`); and random numbers (dropout), which are made a
function of seed and step here. So only Lightning's own counters have to be right.
"""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.schedule import WarmupDecay


class ExactResume(Callback):
    """Seeds every step by its number, and writes Lightning's progress so that it resumes at exactly that step.

    Lightning's own progress depends on the hook that a checkpoint was saved in, and some hooks resume by skipping a
    validation or repeating a step. Here all of them are brought to one form: so many epochs done, so many batches of
    the present one done, nothing half done.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._resumed = False
        self._options: list[dict[str, Any]] = []
        self._options_before: list[dict[str, Any]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the optimizer's options of this start win over those the checkpoint restored."""
        self._resumed = trainer.ckpt_path is not None
        self._options = pl_module.optimizer_options
        if not self._resumed:
            return
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        for i, (group, now, before) in enumerate(
            zip(groups, pl_module.optimizer_options, self._options_before, strict=True)
        ):
            changed = {name: value for name, value in now.items() if before.get(name) != value}
            if "lr" in changed:
                for scheduler in schedulers:
                    scheduler.base_lrs[i] = now["lr"]
                group["initial_lr"] = now["lr"]
                # Where the schedule has brought the rate, as a share of its base, it stays.
                changed["lr"] = (
                    group["lr"]
                    if any(isinstance(s, WarmupDecay) for s in schedulers)
                    else (group["lr"] * now["lr"] / before["lr"])
                )
            group.update(changed)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's options that the run was started with."""
        return {"optimizer_options": self._options}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the options that the run was started with."""
        self._options_before = state_dict["optimizer_options"]

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
        fit["epoch_loop.state_dict"]["_batches_that_stepped"] = trainer.global_step


def _set(progress: dict[str, int], started: int, done: int) -> None:
    """Set Lightning's four counters: ready and started, processed and completed."""
    progress.update(ready=started, started=started, processed=done, completed=done)

"""Stopping a run early: on a signal or an error, with nothing lost, or on a NaN or infinite loss, with advice."""

import logging
import math
import signal
import threading
from pathlib import Path
from traceback import walk_tb
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.optim.lr_scheduler import LRScheduler

from sequentia.errors import UserError
from sequentia.evaluation.metrics import METRICS
from sequentia.models.parts.saving import architecture_name
from sequentia.runs.trust import is_class_path
from sequentia.text import shorten, similar
from sequentia.training.loop.checkpointing import BestCheckpoint, LastCheckpoint, validates
from sequentia.training.loop.processes import any_process

_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1}  # the last is SLURM's before a time limit

log = logging.getLogger("sequentia")


class Interrupted(Exception):  # noqa: N818 (not an error: the run does what it was asked to do)
    """The signal `signum` asked the run to stop, and last.ckpt is written."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class StopOnSignal(Callback):
    """Stops after the current step on Ctrl-C, SIGTERM, SIGHUP or SIGUSR1; at once on a second Ctrl-C or SIGTERM.

    A closed terminal sends SIGHUP twice: through the shell, and when the shell ends.

    A validation that is due after the step is completed first, because a resumed run does not repeat it.

    Args:
        last: Writes last.ckpt.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self._last = last
        self._signum = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's signal handlers, which stop before the step's validation; at the end it restores all."""
        if trainer.received_sigterm:
            self._signum = signal.SIGTERM
        if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
            ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else set()  # by nohup
            for number in _SIGNALS - ignored:
                signal.signal(number, self._on_signal)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop here if a signal arrived: the last step is complete and the next has not begun.

        Raises:
            Interrupted: A signal arrived.
        """
        if batch_idx % trainer.accumulate_grad_batches:
            return
        if any_process(trainer, self._signum > 0):  # the signal may have reached only one process
            self._last.write(trainer)
            raise Interrupted(self._signum or signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signum == 0:
            self._signum = number
            again = "; press Ctrl-C again to stop immediately" if number == signal.SIGINT else ""
            log.info(f"{signal.Signals(number).name}: stopping after this step{again}")
        elif number in (signal.SIGINT, signal.SIGTERM):
            raise KeyboardInterrupt


class StopWhenDiverged(Callback):
    """Stops a run whose training loss is NaN or infinite, and keeps such weights out of every checkpoint.

    On a CPU the loss is checked at every step; on other devices, where reading it means waiting, at every logged step.
    The weights are checked before every save.

    Args:
        last: Has written last.ckpt, which the error message names.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self._last = last

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the loss of this step.

        Raises:
            UserError: The loss is NaN or infinite.
        """
        every = trainer.log_every_n_steps
        if pl_module.device.type != "cpu" and (every == 0 or trainer.global_step % every):
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None and any_process(trainer, not math.isfinite(float(loss))):
            raise self._diverged(trainer, f"the training loss is {float(loss):g}")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check the weights.

        Raises:
            UserError: A weight is NaN, or a trained one infinite.
        """
        for name, tensor in (*pl_module.named_parameters(), *pl_module.named_buffers()):
            invalid = ~tensor.detach().isfinite() if tensor.requires_grad else tensor.isnan()
            if invalid.any():
                raise self._diverged(trainer, f"the weights {name} are NaN or infinite")

    def _diverged(self, trainer: Trainer, what: str) -> UserError:
        lr = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else 0.0
        good = f"; {self._last.path} has the last good weights" if self._last.path.is_file() else ""
        return UserError(
            f"{what} at step {trainer.global_step} with learning rate {float(lr):g}: lower the optimizer's lr, or set "
            f"--trainer.gradient_clip_val 1.0{good}"
        )


class CheckMonitors(Callback):
    """Refuses a callback or schedule that waits for a metric which the run does not measure, before the first step.

    An architecture or a callback of the user's may log other metrics. Then nothing is known before they do.

    Args:
        extra: Whether more than the losses is logged.
    """

    def __init__(self, extra: bool) -> None:
        self._extra = extra

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check every metric that is monitored.

        Raises:
            UserError: The run does not measure the metric.
        """
        known = ("sequentia.", "lightning.")  # their classes log no other metrics than those below
        if not all(type(one).__module__.startswith(known) for one in (pl_module, *trainer.callbacks)):
            return
        held_out = validates(trainer)
        logged = ["train/loss", *["vitals/grad_norm"] * self._extra] if trainer.log_every_n_steps else []
        measured = ["loss", "bits_per_char", "perplexity", *(n for n, m in METRICS.items() if m.fit and self._extra)]
        names = logged + [f"val/{name}" for name in measured if held_out]
        waiting = [*trainer.callbacks, *(config.scheduler for config in trainer.lr_scheduler_configs)]
        for one, metric in [(one, getattr(one, "monitor", None)) for one in waiting]:
            if isinstance(one, BestCheckpoint) and not held_out:
                continue  # without a validation, the last checkpoint is the best
            if metric in (None, "epoch", "step") or metric.startswith("vitals/lr_"):
                continue
            who = "checkpoint.monitor" if isinstance(one, BestCheckpoint) else f"the monitor of {type(one).__name__}"
            if metric not in names:
                none = "" if held_out or not metric.startswith("val") else ", because no lines are held out"
                close = "".join(f"did you mean {found}? " for found in similar(metric, names))
                raise UserError(
                    f"{who} is {metric!r}, which is not measured{none}: {close}the metrics are {', '.join(names)}"
                )


def failure(error: Exception, trainer: Trainer, checkpoint: Path | None, under_way: bool) -> UserError | None:
    """The one line about what ended a run; None if its own message or traceback says more.

    Args:
        error: What was raised.
        trainer: The trainer.
        checkpoint: The checkpoint that is resumed.
        under_way: Whether a step has completed, so that the checkpoint and the options are known to be valid.
    """
    if under_way or checkpoint is None:
        for frame, line in walk_tb(error.__traceback__):
            culprit = type(frame.f_locals.get("self"))
            if issubclass(culprit, Callback | Logger | LRScheduler) and not culprit.__module__.startswith("sequentia."):
                name, step = f"{culprit.__name__}.{frame.f_code.co_name}", trainer.global_step
                where = f"{Path(frame.f_code.co_filename).name}, line {line}"
                cause = f"{type(error).__name__}: {shorten(str(error), 300)}"
                return UserError(f"{name} failed at step {step} ({where}): {cause}")
    if under_way or isinstance(error, Interrupted | OSError | MisconfigurationException):
        return None
    if checkpoint is not None:
        return UserError(
            f"cannot resume {checkpoint}: its training state is damaged or does not fit these options "
            f"({type(error).__name__}: {str(error)[:150]}); start a new run, or give another --ckpt_path"
        )
    if is_class_path(architecture_name(type(trainer.lightning_module))):  # whose author needs the traceback
        return None
    return UserError(f"the first step fails, perhaps because of its options: {error}")

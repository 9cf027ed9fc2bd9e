"""Ctrl-C and SIGTERM end a run between two steps, with nothing lost."""

import logging
import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sequentia.training.checkpointing import RunCheckpoint

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

log = logging.getLogger("sequentia")


class Interrupted(Exception):  # noqa: N818 (no error: the run does what it was asked to)
    """The run was asked to stop, and has written last.ckpt.

    Args:
        signum: Number of the signal that asked.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Interrupt(Callback):
    """Takes the first Ctrl-C or SIGTERM as the wish to stop after the present step, the second as one to stop at once.

    A validation that belongs to the step is finished too: it would not be repeated when the run goes on.

    Args:
        checkpoint: Writes last.ckpt.
    """

    def __init__(self, checkpoint: RunCheckpoint) -> None:
        self._checkpoint = checkpoint
        self._signum = 0
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals over from Lightning, whose own handlers stop where the step's validation is still due."""
        if trainer.received_sigterm:
            self._signum = signal.SIGTERM
        if threading.current_thread() is threading.main_thread():  # the only one that may
            self._before = {number: signal.signal(number, self._on_signal) for number in _NAMES}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Stop here if asked to: the last step is complete, the next has not begun.

        Raises:
            Interrupted: The run was asked to stop.
        """
        if batch_idx % trainer.accumulate_grad_batches:
            return
        stop = self._signum > 0
        if trainer.world_size > 1:  # a signal may have reached one process alone, but all must stop at the same step
            stop = trainer.strategy.reduce_boolean_decision(stop, all=False)
        if stop:
            self._checkpoint.write_last(trainer)
            raise Interrupted(self._signum or signal.SIGTERM)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._signum:
            raise KeyboardInterrupt
        self._signum = number
        log.info(f"{_NAMES[signal.Signals(number)]}: stopping after this step; once more stops at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

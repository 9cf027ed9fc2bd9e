"""What a run says on stderr."""

import logging
import os
import shlex
import warnings
from pathlib import Path

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import Trainer
from torch import Tensor

from sequentia.models import LanguageModel
from sequentia.runs import LAST
from sequentia.text import printable

log = logging.getLogger("sequentia")


def plain_messages() -> None:
    """Plain messages on stderr, without Lightning's tips and notes."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO if rank_zero_only.rank == 0 else logging.WARNING)
    log.propagate = False
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # its report, if asked for
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's own use of it
    # The run directory holds config.yaml by then, and last.ckpt when a run goes on.
    warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
    # Nothing held out is a choice; and steps are logged by their number, however many make an epoch.
    warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
    warnings.filterwarnings("ignore", "The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # Lightning's own use of PyTorch


class _Plain(logging.Formatter):
    """Lines of text, in which nothing from paths or data can move the cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))


def describe(model: LanguageModel) -> str:
    """Architecture and number of parameters."""
    size = sum(parameter.numel() for parameter in model.parameters())
    return f"{type(model).__name__} with {size:,} parameters"


def closing_words(run: Path, trainer: Trainer, best: Tensor | None) -> str:
    """Where a run lies, what it reached, and the commands that go on from it.

    Args:
        run: Its directory.
        trainer: At the run's end.
        best: The lowest validation NLL, if any lines are held out.
    """
    reached = "" if best is None else f", best validation NLL {best:.4f} nats per character"
    place = shlex.quote(str(run))
    more = ""  # to go on, a complete run needs more than it was given
    for option, done in (("max_steps", trainer.global_step), ("max_epochs", trainer.current_epoch)):
        if done == getattr(trainer, option):
            more += f" --trainer.{option} {2 * done}"
    return (
        f"run {run}: step {trainer.global_step}{reached}\n"
        f"  new lines    sequentia sample --ckpt_path {place}\n"
        f"  curves       tensorboard --logdir {shlex.quote(str(run.parent.parent))}\n"
        f"  go on        sequentia fit --config {place}/config.yaml --ckpt_path {place}/{LAST}{more}"
    )

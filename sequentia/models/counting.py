"""The common part of the architectures that count: one pass over the training lines, without an optimizer."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Self

import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.batch import Batch, encode, row
from sequentia.models.base import LanguageModel
from sequentia.text import strings
from sequentia.vocabulary import Plain

_CHUNK = 10_000  # lines per batch of `from_lines`, which bounds the memory


class Counting(LanguageModel):
    """A model whose only weights are counts.

    Attributes:
        counts: The counts.
    """

    single_epoch: ClassVar = True
    counts: Tensor

    def __init__(self, vocabulary: Plain, context_length: int) -> None:
        super().__init__(vocabulary, context_length)
        self.automatic_optimization = False

    @classmethod
    def from_lines(cls, lines: Iterable[str], **options: Any) -> Self:
        """A model that has counted these lines, without a Trainer or a file.

        Args:
            lines: Lines without boundary tokens, used as they are.
            options: The architecture's own options.

        Raises:
            UserError: There is no line with a character, or an item is not a string.

        Example:
            >>> from sequentia import BigramCounts
            >>> model = BigramCounts.from_lines(["emma", "ava"])
            >>> model.counts[0].tolist()  # first tokens of lines: the boundary, a, e, m, v
            [0, 1, 1, 0, 0]
        """
        kept = list(strings(lines, "the lines to count"))
        characters = "".join(sorted(set().union(*kept)))
        if not characters:
            raise UserError("there are no lines to count: give at least one line with a character")
        model = cls(characters, max(map(len, kept)) + 1, **options)
        for start in range(0, len(kept), _CHUNK):
            model.count(row(*encode(model.vocabulary, kept[start : start + _CHUNK])))
        model.on_counted()
        return model.eval()

    def describe(self) -> str:
        """The architecture; how much it counts, only the lines can tell."""
        return f"{type(self).__name__}, which counts"

    @abstractmethod
    def count(self, batch: Batch) -> None:
        """Count the tokens of a batch; in distributed training, those of all processes."""

    @abstractmethod
    def mean_nll(self) -> Tensor:
        """NLL of the lines counted so far, in nats per character; a scalar."""

    def on_counted(self) -> None:
        """Called when all lines have been counted."""

    def setup(self, stage: str) -> None:
        """Bypass DistributedDataParallel, which refuses a model without gradients.

        Raises:
            UserError: A callback averages weights.
        """
        refuse_averaging(self)
        if isinstance(self.trainer.strategy, DDPStrategy):
            self.trainer.strategy.configure_ddp = lambda: None

    def configure_optimizers(self) -> Any:
        """No optimizer."""
        return []  # None would make Lightning warn

    def training_step(self, batch: Batch) -> None:
        """Count a batch; only the first epoch counts."""
        if self.trainer.current_epoch > 0:
            return
        self.count(batch)
        # Lightning counts steps (for max_steps, checkpoints and logs) by optimizer steps; here a step is a batch.
        steps = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        steps.increment_ready()
        steps.increment_completed()

    def on_train_epoch_end(self) -> None:
        """Log the NLL of the counted lines, and end the run: another epoch would have nothing to count."""
        self.on_counted()
        self.log("train/loss", self.mean_nll().float(), sync_dist=True)
        self.trainer.should_stop = True


def refuse_averaging(model: LanguageModel) -> None:
    """Refuse a callback that would average weights which are not learned step by step.

    Raises:
        UserError: The trainer has such a callback.
    """
    for callback in model.trainer.callbacks:
        if isinstance(callback, WeightAveraging):
            name, architecture = type(callback).__name__, type(model).__name__
            raise UserError(
                f"{name} cannot average the weights of {architecture}, which are not learned step by step: omit it "
                "from the callbacks"
            )


def of_all_processes(tensor: Tensor) -> Tensor:
    """The tensors of all processes, concatenated along the first dimension.

    Gathered at every step, not at the end, so that a checkpoint in mid-epoch has all counts.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return tensor
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, tensor.cpu())
    return torch.cat(parts).to(tensor.device)

"""What all architectures share: loss, metrics, optimizer, sampling.

Dimensions, here and in every architecture:
    B  lines in a batch      T  positions in a row      V  vocabulary, the boundary token included
    C  channels              H  heads                   D  channels of a head
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sequentia.errors import UserError
from sequentia.metrics import CharacterNLL, bits_per_char
from sequentia.sampling import generate
from sequentia.schedule import WarmupDecay
from sequentia.vocabulary import Vocabulary, shorten

State = tuple[Tensor, ...]
"""What `step` remembers of a line, each tensor with the batch first."""


KEY = "sequentia"
"""Key of what this package adds to Lightning's checkpoint."""

MAY_CHANGE = {"context_length", "dropout", "regularisation", "smoothing", "init_seed"}
"""Hyperparameters that may change under the same weights: what the model computes stays, or changes as told.

Weights whose shape follows from the context length hold it fast all the same.
"""

FORMAT = 1
"""Number of the checkpoint's layout; a reader refuses any other by name."""


def check_sizes(**sizes: int) -> None:
    """Refuse a size below 1.

    Raises:
        UserError: It names the option of the model.
    """
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"model.{name} must be at least 1, got {size}")


def check_dropout(dropout: float) -> None:
    """Refuse a share that is none.

    Raises:
        UserError: It lies outside [0, 1).
    """
    if not 0 <= dropout < 1:
        raise UserError(f"model.dropout must lie in [0, 1), got {dropout}")


class Batch(Protocol):
    """What a training or evaluation step reads of a batch; `sequentia.data.Batch` is one."""

    @property
    def context(self) -> Tensor:
        """Tokens to read, `(B, T)` long."""

    @property
    def target(self) -> Tensor:
        """Tokens to predict, `(B, T)` long; -100 at padding."""

    @property
    def position(self) -> Tensor | None:
        """Place of each token in its line, `(B, T)` long; None where each row is one line."""

    @property
    def total(self) -> float:
        """Predicted characters that the sum of losses is divided by."""


class LanguageModel(LightningModule, ABC):
    """Base of all architectures: a distribution over the next character, given those before it in the line.

    A subclass defines `forward` and `step`, calls `self.save_hyperparameters()` in `__init__`, and works with every
    command.

    Args:
        vocabulary: The characters, each once, ascending by code point. With the boundary token they make V.
        context_length: Positions that the longest line takes: its characters and the boundary that starts it.

    Attributes:
        optimizer: Makes the optimizer from parameter groups; AdamW unless set.
        lr_scheduler: Makes the schedule, stepped once an optimizer step, from the optimizer; None keeps the rate
            constant.
    """

    optimizer: Callable[[Iterable[Any]], Optimizer]
    lr_scheduler: Callable[..., LRScheduler] | None

    def __init__(self, vocabulary: str, context_length: int) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(vocabulary)
        self.context_length = context_length
        self.optimizer = torch.optim.AdamW
        self.lr_scheduler = WarmupDecay
        self.val_nll = CharacterNLL()
        self.test_nll = CharacterNLL()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":  # Lightning sets it 40 times a step, and PyTorch asks each time what it is
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def max_positions(self) -> int | None:
        """Positions that the model can read in one line; None if there is no limit."""
        return None

    @abstractmethod
    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        """Logits of the next token at every position.

        Args:
            context: `(B, T)` long, each row the boundary token and then the characters of a line.
            position: `(B, T)` long, where rows hold several lines: the place of each token in its own line. A 0 starts
                a line; nothing before it is seen from it or after it. None where each row is one line.

        Returns:
            `(B, T, V)`.
        """

    @abstractmethod
    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the next token, one token at a time.

        Args:
            token: `(B,)` long. The first of a line is the boundary token.
            state: What the last step returned; None at the start of a line.

        Returns:
            Logits `(B, V)`, and the state for the next step.
        """

    def nll_sum(self, batch: Batch) -> Tensor:
        """Sum of the softmax cross-entropy over all targets of a batch but the padded ones, in nats; a scalar."""
        logits = self(batch.context, batch.position)
        # Under mixed precision the logits are bfloat16, too coarse to normalise in.
        return F.cross_entropy(logits.flatten(0, 1).float(), batch.target.flatten(), reduction="sum")

    def training_loss(self, batch: Batch) -> Tensor:
        """Mean loss over the predicted characters of a batch, a scalar; an architecture may add a regulariser."""
        return self.nll_sum(batch) / batch.total

    def training_step(self, batch: Batch) -> Tensor | None:
        """What the optimizer minimises, a scalar."""
        loss = self.training_loss(batch)
        # `log` costs as much as a small model's whole step: call it only where Lightning writes what it gets.
        every = self.trainer.log_every_n_steps  # 0 logs none
        if every and (self.trainer.global_step + 1) % every == 0:
            lr = self.trainer.optimizers[0].param_groups[0]["lr"]
            self.log_dict({"train/loss": loss.detach(), "lr": lr}, batch_size=1)
        return loss

    def validation_step(self, batch: Batch) -> None:
        """Add a batch to the validation figures."""
        self.val_nll.update(self.nll_sum(batch), int(batch.total))

    def test_step(self, batch: Batch) -> None:
        """Add a batch to the test figures."""
        self.test_nll.update(self.nll_sum(batch), int(batch.total))

    def on_validation_epoch_end(self) -> None:
        """Log NLL, bits per character and perplexity of the validation lines."""
        self._log_nll("val", self.val_nll)

    def on_test_epoch_end(self) -> None:
        """Log NLL, bits per character and perplexity of the test lines."""
        self._log_nll("test", self.test_nll)

    def _log_nll(self, side: str, metric: CharacterNLL) -> None:
        nll = metric.compute()
        metric.reset()
        values = {f"{side}/loss": nll, f"{side}/bits_per_char": bits_per_char(nll), f"{side}/perplexity": nll.exp()}
        # The metric is summed over all processes already; Lightning wants to hear that it is the same in all.
        self.log_dict({name: value.float() for name, value in values.items()}, sync_dist=True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimizer, in groups.

        Hidden weight matrices, marked `hidden` for optimizers that treat them apart; embeddings and head; and vectors
        (biases, gains), which weight decay leaves alone.
        """
        outer = {m.weight for m in self.modules() if isinstance(m, nn.Embedding)}
        outer |= {m.weight for name, m in self.named_modules() if name.split(".")[-1] == "head"}
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2 and p not in outer], "hidden": True},
            {"params": [p for p in parameters if p.ndim >= 2 and p in outer], "hidden": False},
            {"params": [p for p in parameters if p.ndim < 2], "hidden": False, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def configure_optimizers(self) -> Any:
        """The optimizer and the schedule.

        A schedule that takes `total_steps` is stepped with the optimizer, and gets the run's length if it has none;
        any other is stepped once an epoch.

        Raises:
            UserError: One of them refuses its options.
        """
        parameter = None
        if self.lr_scheduler is not None:
            parameter = inspect.signature(self.lr_scheduler).parameters.get("total_steps")
        wanted = parameter is not None and parameter.default is None
        options = {"total_steps": int(self.trainer.estimated_stepping_batches)} if wanted else {}
        try:
            optimizer = self.optimizer(self.parameter_groups())
            scheduler = None if self.lr_scheduler is None else self.lr_scheduler(optimizer, **options)
        except (ValueError, TypeError) as error:
            raise UserError(f"the options of the optimizer or its schedule are no good: {error}") from error
        if scheduler is None:
            return optimizer
        if parameter is not None:
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
        # A schedule over epochs, as Lightning takes them.
        monitor = getattr(scheduler, "monitor", "val/loss")
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": monitor}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the architecture: hyperparameters, vocabulary and weights are in Lightning's own keys."""
        checkpoint[KEY] = {"format": FORMAT, "architecture": type(self).__name__}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were learnt on another vocabulary.

        Raises:
            UserError: The checkpoint's vocabulary is not this model's.
        """
        self.check_vocabulary(Vocabulary(checkpoint["hyper_parameters"]["vocabulary"]))

    def check_vocabulary(self, other: Vocabulary) -> None:
        """Refuse a vocabulary that is not this model's.

        Raises:
            UserError: It differs.
        """
        if other != self.vocabulary:
            raise UserError(
                f"the model's vocabulary is {shorten(self.vocabulary.characters)!r}, not "
                f"{shorten(other.characters)!r}: checkpoint and data do not belong together"
            )

    def sample(self, num_samples: int, **options: Any) -> list[str]:
        """New lines: `sequentia.sampling.generate` in a list. Options are its arguments."""
        return [sample.text for sample in generate(self, num_samples, **options)]


def not_finite(model: torch.nn.Module) -> str | None:
    """Name of a weight that is no number, or, among those that are trained, infinite; None if all is well."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        bad = ~tensor.isfinite() if tensor.requires_grad else tensor.isnan()
        if bad.any():
            return name
    return None

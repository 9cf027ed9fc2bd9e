"""The base class of all architectures: loss, metrics, optimizer, sampling.

Dimensions, here and in every architecture:
    B  rows of a batch, each with one line or several      T  positions in a row      K  labels
    V  vocabulary, boundary included                       C  channels                H  heads    D  channels per head
"""

import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Literal, Protocol, Self

from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from sequentia.errors import UserError
from sequentia.inference.batch import Batch
from sequentia.inference.classification import classify
from sequentia.inference.likelihood import CharacterMean, bits_per_char, perplexity, target_log_probs
from sequentia.inference.options import takes_conditions, takes_sampling_options
from sequentia.inference.sampling import generate
from sequentia.inference.scoring import Score, score
from sequentia.inference.search import top
from sequentia.models.parts.options import check_sizes
from sequentia.models.parts.saving import architecture_name, mark
from sequentia.models.parts.shipped import recipe
from sequentia.text import shorten
from sequentia.vocabulary import Plain, Vocabulary

log = logging.getLogger("sequentia")

State = tuple[Tensor, ...]
"""The tensors that `step` carries along each line; the first dimension of every tensor is the batch."""

ARCHITECTURES: dict[str, type["LanguageModel"]] = {}
"""Every architecture that has been defined, by the name that its checkpoints have: see `architecture_name`."""


class Data(Protocol):
    """The properties of the data that determine an architecture's sizes; `sequentia.CharDataModule` has them."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The characters of all lines."""

    @property
    def context_length(self) -> int:
        """Number of positions that the longest line takes."""


class LanguageModel(LightningModule, ABC):
    """Base class of all architectures: the distribution of the next character given the characters before it.

    A subclass defines `forward` and `step` and calls `self.save_hyperparameters(logger=False)` in `__init__`; every
    command then works with it. The subclass declares the properties that the framework needs:
    `vocabulary_dims`, `position_dims`, `max_positions`, `hidden_matrices`, `may_change` and `single_epoch`.

    Args:
        vocabulary: The characters in ascending order of code point, each once, or a mapping with `characters` and
            `labels`: see `Vocabulary`. V is the number of characters plus the boundary token, K that of the labels.
        context_length: Positions that the longest line takes: its characters and the boundary token that starts it.

    Raises:
        UserError: The vocabulary is not valid: see `Vocabulary`; or the length is out of range.

    Attributes:
        optimizer: Makes the optimizer from parameter groups; by default that of the architecture's shipped config.
        lr_scheduler: Makes the learning-rate schedule from the optimizer, by default that of the shipped config; None
            keeps the rate constant.
        lr_scheduler_interval: When the schedule steps: after each optimizer step or at the end of each epoch. None
            means after each step if it takes `total_steps`, otherwise each epoch.
        may_change: Hyperparameters that a resumed run may change because the trained weights keep their meaning.
        single_epoch: Whether a second epoch changes nothing, so that a complete run cannot be extended.
    """

    optimizer: Callable[[Iterable[Any]], Optimizer]
    lr_scheduler: Callable[..., LRScheduler] | None
    lr_scheduler_interval: Literal["step", "epoch"] | None
    may_change: ClassVar[frozenset[str]] = frozenset()
    single_epoch: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Register an architecture when it is defined, unless it is abstract."""
        super().__init_subclass__(**options)
        if not inspect.isabstract(cls):
            ARCHITECTURES[architecture_name(cls)] = cls

    def __init__(self, vocabulary: Plain, context_length: int) -> None:
        super().__init__()
        if not isinstance(vocabulary, str | dict):
            raise UserError(
                f"the vocabulary of {type(self).__name__} must be a string of its characters, got "
                f"{type(vocabulary).__name__}: give the characters, or use {type(self).__name__}.for_data(data)"
            )
        self.vocabulary = Vocabulary.of(vocabulary)
        check_sizes(context_length=context_length)
        self.context_length = context_length
        self.optimizer, self.lr_scheduler = recipe(type(self))
        self.lr_scheduler_interval = None
        self.held_out_nll = CharacterMean()

    @classmethod
    def for_data(cls, data: Data, **options: Any) -> Self:
        """A new model with the vocabulary and the context length of the data.

        Args:
            data: A `CharDataModule`.
            options: The architecture's own options.

        Example:
            >>> from sequentia import GRU, CharDataModule
            >>> model = GRU.for_data(CharDataModule("names"), n_hidden=32)
            >>> model.vocabulary.characters
            'abcdefghijklmnopqrstuvwxyz'
        """
        return cls(data.vocabulary.plain, data.context_length, **options)

    @property
    def max_positions(self) -> int | None:
        """Number of positions of a line that the model can read; None if unlimited."""
        return None

    @property
    def num_parameters(self) -> int:
        """Number of trainable weights."""
        return sum(parameter.numel() for parameter in self.parameters())

    def describe(self) -> str:
        """Architecture and number of parameters."""
        return f"{type(self).__name__} with {self.num_parameters:,} parameters"

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        """Weights that have an entry per token, each with the dimensions of size V, or V + K if they are read.

        Only `--init_from` needs them, to start from a model with other characters.
        """
        return {}

    def position_dims(self) -> dict[Tensor, tuple[int, ...]]:
        """Weights that have an entry per position in a line, each with the dimensions that the position indexes."""
        return {}

    def hidden_matrices(self) -> dict[Tensor, int]:
        """Weight matrices between embedding and head, each with the number of matrices stacked along its rows.

        Muon orthogonalizes exactly these; query, key and value projections in one matrix count as 3.
        """
        return {}

    @abstractmethod
    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        """Logits of the next token at every position.

        Args:
            context: `(B, T)` long. Every line starts with the boundary token, or with that of its label.
            position: Index of each token in its line, `(B, T)` long, if rows hold several lines: a 0 starts a line, and
                no token affects another line. None if each row is one line.

        Returns:
            `(B, T, V)`.
        """

    @abstractmethod
    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Logits of the next token, one token at a time.

        Args:
            token: `(B,)` long. The first token of a line is the boundary token, or that of its label.
            state: The state that the previous step returned; None at the start of a line.

        Returns:
            Logits `(B, V)`, and the state for the next step.
        """

    def target_log_probs(self, batch: Batch) -> Tensor:
        """Log probability of each target; 0 at padding; `(B, T)`."""
        return target_log_probs(self(batch.context, batch.position), batch.target)

    def nll_sum(self, batch: Batch) -> Tensor:
        """Summed softmax cross-entropy of all targets except padding, in nats; a scalar."""
        return -self.target_log_probs(batch).sum()

    def training_loss(self, batch: Batch) -> Tensor:
        """Mean NLL per predicted character, a scalar; an architecture may add a regularization term."""
        return self.nll_sum(batch) / batch.total

    def training_step(self, batch: Batch) -> Tensor | None:
        """The loss to minimize, a scalar; logged unless a callback has `logs_train_loss`."""
        loss = self.training_loss(batch)
        if not any(getattr(callback, "logs_train_loss", False) for callback in self.trainer.callbacks):
            self.log("train/loss", loss.detach(), batch_size=1)
        return loss

    def test_step(self, batch: Batch) -> None:
        """Add a batch to the metric of the held-out lines."""
        self.held_out_nll.update(self.nll_sum(batch), int(batch.total))

    def validation_step(self, batch: Batch) -> None:
        """Add a batch to the metric of the held-out lines."""
        self.test_step(batch)

    def on_validation_epoch_end(self) -> None:
        """Log NLL, bits per character and perplexity of the validation lines."""
        self._log_nll("val")

    def on_test_epoch_end(self) -> None:
        """Log NLL, bits per character and perplexity of the test lines."""
        self._log_nll("test")

    def _log_nll(self, split: str) -> None:
        nll = self.held_out_nll.compute()
        self.held_out_nll.reset()
        values = {
            f"{split}/loss": nll,
            f"{split}/bits_per_char": bits_per_char(nll),
            f"{split}/perplexity": perplexity(nll),
        }
        # `compute` already sums over all processes; without sync_dist Lightning warns that it might not.
        self.log_dict({name: value.float() for name, value in values.items()}, sync_dist=True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Trainable parameters in groups for the optimizer.

        First the hidden matrices, marked `hidden`, with the number of matrices that each stacks in `stacked`; then
        embeddings and head; then vectors (biases, gains), which are exempt from weight decay.
        """
        hidden = self.hidden_matrices()
        parameters = [p for p in self.parameters() if p.requires_grad]
        matrices = [p for p in parameters if p in hidden]
        others = [p for p in parameters if p not in hidden]
        groups = [
            {"name": "hidden", "params": matrices, "hidden": True, "stacked": [hidden[p] for p in matrices]},
            {"name": "embeddings", "params": [p for p in others if p.ndim >= 2], "hidden": False},
            {"name": "vectors", "params": [p for p in others if p.ndim < 2], "hidden": False, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]

    def configure_optimizers(self) -> Any:
        """The optimizer and the learning-rate schedule.

        A schedule that takes `total_steps` gets the length of the run unless it was given one.

        Raises:
            UserError: The optimizer or the schedule rejects its options.
        """
        parameter = None
        if self.lr_scheduler is not None:
            parameter = inspect.signature(self.lr_scheduler).parameters.get("total_steps")
        length_missing = parameter is not None and parameter.default is None
        options = {"total_steps": int(self.trainer.estimated_stepping_batches)} if length_missing else {}
        try:
            optimizer = self.optimizer(self.parameter_groups())
            scheduler = None if self.lr_scheduler is None else self.lr_scheduler(optimizer, **options)
        except (ValueError, TypeError) as error:
            raise UserError(f"invalid options of the optimizer or the lr_scheduler: {error}") from error
        if scheduler is None:
            return optimizer
        interval = self.lr_scheduler_interval or ("epoch" if parameter is None else "step")
        monitor = getattr(scheduler, "monitor", "val/loss")
        config = {"scheduler": scheduler, "interval": interval, "monitor": monitor}
        return {"optimizer": optimizer, "lr_scheduler": config}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Record the architecture; hyperparameters, vocabulary and weights are under Lightning's own keys."""
        mark(checkpoint, type(self))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights that were trained on another vocabulary.

        Raises:
            UserError: The vocabularies differ.
        """
        trained = Vocabulary.of(checkpoint["hyper_parameters"]["vocabulary"])
        check_same_vocabulary(trained, self.vocabulary, "start a new run with init_from, which takes any characters")

    @takes_sampling_options
    def sample(self, num_samples: int = 20, **options: Any) -> list[str]:
        """New lines: see `sequentia.generate` and `sequentia.SamplingOptions`.

        If hardly any line meets the conditions, the list is shorter, and a warning says so.
        """
        draws = generate(self, num_samples, **options)
        texts = [sample.text for sample in draws]
        if shortage := draws.shortage():
            log.warning(shortage)
        return texts

    @takes_conditions
    def top(self, num_lines: int = 20, **options: Any) -> list[str]:
        """The most probable lines, exactly and in order: see `sequentia.top`."""
        return [line.text for line in top(self, num_lines, **options)]

    def score(self, texts: Iterable[str], label: str | None = None) -> list[Score]:
        """The likelihood of each text: see `sequentia.score`.

        Raises:
            UserError: `texts` is a single string, or an item is not a string; or no line has the label.

        Example:
            >>> from sequentia import BigramCounts
            >>> model = BigramCounts.from_lines(["ab", "abab"], smoothing=0)
            >>> [round(s.nll, 4) for s in model.score(["ab", "b"])]  # two of three b end a line; none starts it
            [0.4055, inf]
        """
        return list(score(self, texts, label))

    def classify(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """The probability of each label of each text: see `sequentia.classify`.

        Raises:
            UserError: The model has no labels; see `score`.
        """
        return classify(self, texts)


def check_same_vocabulary(model: Vocabulary, data: Vocabulary, remedy: str) -> None:
    """Refuse a model and data with different vocabularies.

    Args:
        model: The model's.
        data: The data's.
        remedy: The advice in the error message.

    Raises:
        UserError: The vocabularies differ; the message names the characters that only one of them has.
    """
    if model != data:
        sides = (("the data", data, model), ("the model", model, data))
        only = ", ".join(
            f"only {name} has {what}{shorten(between.join(sorted(found)))!r}"
            for name, own, other in sides
            for what, between, found in (
                ("", "", set(own.characters) - set(other.characters)),
                ("the labels ", ", ", set(own.labels) - set(other.labels)),
            )
            if found
        )
        raise UserError(f"the model's vocabulary is not that of the data ({only}): {remedy}")

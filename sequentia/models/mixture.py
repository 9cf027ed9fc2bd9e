"""Mixture: the log probabilities of several models, of any architecture, weighted and added up."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from sequentia.errors import UserError
from sequentia.inference.batch import Batch
from sequentia.models.base import ARCHITECTURES, LanguageModel, State
from sequentia.models.counting import Counting, refuse_averaging
from sequentia.vocabulary import Plain

_MEMBERS: list[dict[str, Any]] = [
    {"architecture": "Transformer", "dropout": 0.05},  # less than alone: averaging also reduces overfitting
    {"architecture": "CNN"},
    {"architecture": "NGram"},
]
_COUNTED = 0.5  # weight of the members that count, before it is chosen on validation lines
_PRIOR = 200.0  # curvature of the penalty on weights that differ from the initial ones, so that few lines do not decide
_TOKENS, _CELLS = 2**13, 2**22  # most validation tokens, and most of their probabilities, to choose the weights on
_ITERATIONS = 10  # of Newton's method, which starts from the weights of the last validation
_FLOOR = -100.0  # lowest log probability of a member: with a probability of 0, the NLL could be infinite


class Mixture(LanguageModel):
    """The weighted sum of the log probabilities of several models, normalized.

    An n-gram model and a network err in different places, and networks that differ only in their initial weights
    overfit in different directions. The sum of logarithms is a product of probabilities: a token that one member knows
    to be wrong, such as a bracket that closes nothing, stays improbable however likely the others find it. In a mean of
    probabilities each member would have its share of the draws, with all its mistakes.

    Each network is trained on its own loss, because the loss of the mixture would make them alike; `train/loss` is the
    mean of their losses. The members that count do so before the first step. At each validation, Newton's method finds
    the weights with the lowest NLL of the validation lines, and they are logged as `weight/...`. They need not add up
    to 1. If no line is held out, the members that count share a weight of a half, and the networks the other half.

    Sources: Klakow, "Log-linear interpolation of language models", 1998; Hansen & Salamon, "Neural network ensembles",
    1990.

    Args:
        members: The members. Each is a mapping with the name of an `architecture` and its options; with `copies`, it
            stands for that many networks. By default a Transformer, a CNN and an NGram.

    Raises:
        UserError: A member is invalid, or no member is a network.

    Attributes:
        weights: Weight of each member's log probabilities, `(M,)` float.
        initial_weights: The weights before validation lines were seen, `(M,)` float.
    """

    weights: Tensor
    initial_weights: Tensor

    def __init__(self, vocabulary: Plain, context_length: int, members: list[dict[str, Any]] | None = None) -> None:
        super().__init__(vocabulary, context_length)
        entries = _MEMBERS if members is None else members
        # In one order, because YAML sorts the options that a resumed run reads.
        members = [dict(sorted(entry.items())) if isinstance(entry, dict) else entry for entry in entries]
        self.save_hyperparameters(logger=False)
        self.members = nn.ModuleList(m for entry in members for m in _build(vocabulary, context_length, entry))
        counts = [isinstance(member, Counting) for member in self.members]
        if all(counts):
            raise UserError("members has no network: add a member such as {architecture: Transformer}")
        counted = _COUNTED if any(counts) else 0.0
        shares = [counted / sum(counts) if c else (1 - counted) / counts.count(False) for c in counts]
        self.register_buffer("weights", torch.tensor(shares))
        self.register_buffer("initial_weights", torch.tensor(shares), persistent=False)
        self._state_sizes: list[int] = []  # tensors in the state of each member

    def all_members(self) -> list[LanguageModel]:
        """Every member."""
        return [member for member in self.members if isinstance(member, LanguageModel)]

    def networks(self) -> list[LanguageModel]:
        """The members that are trained by gradient descent."""
        return [member for member in self.all_members() if not isinstance(member, Counting)]

    def counting(self) -> list[Counting]:
        """The members that count."""
        return [member for member in self.all_members() if isinstance(member, Counting)]

    @property
    def max_positions(self) -> int | None:
        limits = [member.max_positions for member in self.all_members() if member.max_positions is not None]
        return min(limits, default=None)

    def vocabulary_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {weight: dims for member in self.all_members() for weight, dims in member.vocabulary_dims().items()}

    def position_dims(self) -> dict[Tensor, tuple[int, ...]]:
        return {weight: dims for member in self.all_members() for weight, dims in member.position_dims().items()}

    def hidden_matrices(self) -> dict[Tensor, int]:
        return {weight: n for member in self.all_members() for weight, n in member.hidden_matrices().items()}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile the networks, which training calls one by one; the options are those of `torch.compile`."""
        for network in self.networks():
            network.compile(*args, **kwargs)

    def forward(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        return self._mix(self.log_probs_of_members(context, position))

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        members = self.all_members()
        before: list[State | None] = [None] * len(members)
        if state is not None:
            self._state_sizes = self._state_sizes or [len(member.step(token[:1])[1]) for member in members]
            tensors = iter(state)
            before = [tuple(islice(tensors, size)) for size in self._state_sizes]
        steps = [member.step(token, part) for member, part in zip(members, before, strict=True)]
        log_probs = torch.stack([_log_probs(logits) for logits, _ in steps])
        return self._mix(log_probs), tuple(tensor for _, after in steps for tensor in after)

    def log_probs_of_members(self, context: Tensor, position: Tensor | None = None) -> Tensor:
        """Log probabilities of the next token under each of the M members; `(M, B, T, V)`."""
        return torch.stack([_log_probs(member(context, position)) for member in self.members])

    def _mix(self, log_probs: Tensor) -> Tensor:
        """Log probabilities under each of the members `(M, ..., V)` -> logits of the mixture `(..., V)`."""
        return torch.tensordot(self.weights.float(), log_probs, 1)

    def training_loss(self, batch: Batch) -> Tensor:
        """The mean of the networks' own losses."""
        return torch.stack([network.training_loss(batch) for network in self.networks()]).mean()

    def setup(self, stage: str) -> None:
        """Refuse a callback that would average counts, or the weights that validation chooses.

        Raises:
            UserError: A callback averages weights.
        """
        refuse_averaging(self)

    def on_train_start(self) -> None:
        """Count the training lines, unless the run is resumed: then the counts are in its checkpoint."""
        counting = [member for member in self.counting() if not member.counts.any()]
        if not counting:
            return
        for batch in islice(self.trainer.train_dataloader or (), int(self.trainer.num_training_batches)):
            on_device = self.transfer_batch_to_device(batch, self.device, 0)
            for member in counting:
                member.count(on_device)
        for member in counting:
            member.on_counted()

    def on_validation_epoch_start(self) -> None:
        """During `fit`, choose the weights on some of the validation lines."""
        if self.trainer.state.fn != "fit":
            return
        log_probs, targets = [], []
        for batch in self._some_lines():
            kept = batch.target >= 0
            log_probs.append(self.log_probs_of_members(batch.context, batch.position)[:, kept])
            targets.append(batch.target[kept])
        total = partial(self.trainer.strategy.reduce, reduce_op="sum")
        start, initial = self.weights.float(), self.initial_weights.float()
        self.weights.copy_(choose_weights(torch.cat(log_probs, 1), torch.cat(targets), start, initial, total))

    def _some_lines(self) -> Iterator[Batch]:
        """Rows of the validation batches, evenly spaced."""
        number, every = int(self.trainer.num_val_batches[0]), 0
        for batch in islice(self.trainer.val_dataloaders or (), number):
            every = every or math.ceil(number * batch.target.numel() / min(_TOKENS, _CELLS // len(self.vocabulary)))
            context, target, position = (tensor[::every] for tensor in batch[:3])
            yield self.transfer_batch_to_device(Batch(context, target, position, batch.total), self.device, 0)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the validation lines and, during `fit`, the weights."""
        if self.trainer.state.fn == "fit":
            named = zip(self.all_members(), self.weights, strict=True)
            weights = {f"weight/{i}_{type(member).__name__}": weight for i, (member, weight) in enumerate(named)}
            self.log_dict(weights, sync_dist=True)
        super().on_validation_epoch_end()


def _log_probs(logits: Tensor) -> Tensor:
    """Logits of a member -> its log probabilities."""
    return logits.float().log_softmax(-1).clamp(min=_FLOOR)


def choose_weights(
    log_probs: Tensor,
    target: Tensor,
    weights: Tensor,
    initial: Tensor,
    total: Callable[[Tensor], Tensor] = lambda part: part,
) -> Tensor:
    """The weights of a mixture with the lowest NLL of N tokens, by Newton's method: the NLL is convex in the weights.

    Args:
        log_probs: Log probabilities under each member, `(M, N, V)`.
        target: The tokens, `(N,)` long.
        weights: Weights to start from, `(M,)`.
        initial: Weights that a penalty draws the result to, `(M,)`.
        total: Sums a tensor over all processes.

    Returns:
        The weights, `(M,)`; none is negative.
    """
    found = log_probs.gather(2, target.expand(len(log_probs), -1)[:, :, None])[:, :, 0]  # (M, N)
    for _ in range(_ITERATIONS):
        probs = torch.tensordot(weights, log_probs, 1).softmax(-1)  # of the mixture, (N, V)
        expected = (probs * log_probs).sum(-1)  # (M, N)
        deviation = ((log_probs - expected[:, :, None]) * probs.sqrt()).flatten(1)  # (M, N V)
        gradient = total((expected - found).sum(1)) + _PRIOR * (weights - initial)
        curvature = total(deviation @ deviation.T) + _PRIOR * torch.eye(len(weights), device=weights.device)
        weights = (weights - torch.linalg.solve(curvature, gradient)).clamp(min=0.0)
    return weights


def _build(vocabulary: Plain, context_length: int, entry: Any) -> Iterator[LanguageModel]:
    """The members that an entry stands for.

    Raises:
        UserError: The entry is invalid.
    """
    options = dict(entry) if isinstance(entry, dict) else {}
    name, copies = options.pop("architecture", None), options.pop("copies", 1)
    possible = [name for name, architecture in ARCHITECTURES.items() if not issubclass(architecture, Mixture)]
    if name not in possible:
        raise UserError(f"members: expected a mapping with one of the architectures {', '.join(possible)}, got {entry}")
    architecture = ARCHITECTURES[name]
    try:
        for _ in range(copies):
            yield architecture(vocabulary, context_length, **options)
    except TypeError as error:  # an unknown option, or a value of the wrong type
        raise UserError(f"members: invalid options of {name}: {error}") from error

"""Mixture: the probabilities of several models, of any architecture, mixed."""

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
    {"architecture": "CNN"},  # lowers the NLL by 0.01, in a third of the Transformer's time
    {"architecture": "NGram"},
]
_COUNTED = 0.25  # weight of the members that count, before it is chosen on validation lines
_PRIOR = 20  # validation tokens that the initial weights are worth, so that few lines do not decide alone
_ENOUGH = 2**18  # validation tokens to estimate the weights from: enough for three digits
_ITERATIONS = 100  # of expectation maximization, which starts from the weights of the last validation


class Mixture(LanguageModel):
    """The weighted mean of the probabilities of several models.

    An n-gram model and a network err in different places, and networks that differ only in their initial weights
    overfit in different directions. Each network is trained on its own loss, because the loss of the mixture would make
    them alike; `train/loss` is the mean of their losses. The members that count do so before the first step. At each
    validation, expectation maximization finds the weights with the lowest NLL of the validation lines, and they are
    logged as `weight/...`. If no line is held out, the members that count share a weight of a quarter, and the networks
    share the rest.

    Sources: Jelinek & Mercer, "Interpolated estimation of Markov source parameters from sparse data", 1980 (weights);
    Hansen & Salamon, "Neural network ensembles", 1990.

    Args:
        members: The members. Each is a mapping with the name of an `architecture` and its options; with `copies`, it
            stands for that many networks. By default a Transformer, a CNN and an NGram.

    Raises:
        UserError: A member is invalid, or no member is a network.

    Attributes:
        log_weights: Logarithm of the weight of each member, `(M,)` float; normalized where it is used.
        prior: Validation tokens that the initial weights are worth, `(M,)` double.
    """

    log_weights: Tensor
    prior: Tensor

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
        self.register_buffer("log_weights", torch.tensor(shares).log())
        self.register_buffer("prior", _PRIOR * torch.tensor(shares).double(), persistent=False)
        self._state_sizes: list[int] = []  # tensors in the state of each member
        self._held_out: list[Tensor] = []  # log probabilities of the validation targets so far, each (M, N)

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
        return self._mix([member(context, position).float().log_softmax(-1) for member in self.members])

    def step(self, token: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        members = self.all_members()
        before: list[State | None] = [None] * len(members)
        if state is not None:
            self._state_sizes = self._state_sizes or [len(member.step(token[:1])[1]) for member in members]
            tensors = iter(state)
            before = [tuple(islice(tensors, size)) for size in self._state_sizes]
        steps = [member.step(token, part) for member, part in zip(members, before, strict=True)]
        log_probs = self._mix([logits.float().log_softmax(-1) for logits, _ in steps])
        return log_probs, tuple(tensor for _, after in steps for tensor in after)

    def _mix(self, log_probs: list[Tensor]) -> Tensor:
        """Log probabilities under each of the M members -> those of the mixture, of the same shape."""
        weighted = zip(log_probs, self.log_weights.log_softmax(0), strict=True)
        return torch.stack([member + weight for member, weight in weighted]).logsumexp(0)

    def target_log_probs(self, batch: Batch) -> Tensor:
        mixed = self._mix([member.target_log_probs(batch) for member in self.all_members()])
        return mixed.masked_fill(batch.target < 0, 0.0)

    def member_log_probs(self, batch: Batch) -> Tensor:
        """Log probabilities of the N targets under each of the M members, without padding; `(M, N)`."""
        kept = batch.target >= 0
        return torch.stack([member.target_log_probs(batch)[kept] for member in self.all_members()])

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

    def validation_step(self, batch: Batch) -> None:
        """During `fit`, collect the log probabilities of the targets, with which the weights are chosen."""
        if self.trainer.state.fn == "fit":
            self._held_out.append(self.member_log_probs(batch))
        else:
            super().validation_step(batch)

    def on_validation_epoch_end(self) -> None:
        """During `fit`, choose the weights; then log the metrics of the validation lines."""
        if self._held_out:
            log_probs = torch.cat(self._held_out, 1)  # (M, N)
            self._held_out = []
            some = log_probs[:, :: 1 + log_probs.shape[1] // _ENOUGH]
            total = partial(self.trainer.strategy.reduce, reduce_op="sum")
            self.log_weights.copy_(choose_weights(some, self.log_weights, self.prior, total))
            self.held_out_nll.update(-self._mix(list(log_probs)).sum(dtype=torch.double), log_probs.shape[1])
            named = zip(self.all_members(), self.log_weights.exp(), strict=True)
            weights = {f"weight/{i}_{type(member).__name__}": weight for i, (member, weight) in enumerate(named)}
            self.log_dict(weights, sync_dist=True)
        super().on_validation_epoch_end()


def choose_weights(
    log_probs: Tensor,
    log_weights: Tensor,
    prior: Tensor | float = 0.0,
    total: Callable[[Tensor], Tensor] = lambda tokens: tokens,
) -> Tensor:
    """The weights of a mixture with the lowest NLL of N tokens, by expectation maximization.

    Args:
        log_probs: Log probabilities of the tokens under each member, `(M, N)`.
        log_weights: Logarithms of the weights to start from, `(M,)`.
        prior: Tokens that each member accounts for in advance, `(M,)`.
        total: Sums the tokens that each member accounts for, `(M,)`, over all processes.

    Returns:
        The logarithms of the weights, `(M,)` double.
    """
    log_probs, log_weights = log_probs.double(), log_weights.double()
    for _ in range(_ITERATIONS):
        tokens = total((log_probs + log_weights[:, None]).softmax(0).sum(1)) + prior
        log_weights = (tokens / tokens.sum()).log()
    return log_weights


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

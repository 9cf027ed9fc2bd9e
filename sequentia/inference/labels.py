"""A model of lines with labels -> the model of the lines of one label, or of all lines whatever their label."""

from typing import Any

import torch
from torch import Tensor

from sequentia.inference.batch import Batch
from sequentia.inference.model import Model
from sequentia.vocabulary import Vocabulary


def of_label(model: Model, label: str | None = None) -> Model:
    """The distribution of lines as a model without labels.

    Args:
        model: Any architecture.
        label: The label of the lines; by default the lines of all labels, by their frequencies in the training data.

    Raises:
        UserError: No line has the label.
    """
    if label is None and not model.vocabulary.labels:
        return model
    return _Mixed(model, label)


class _Mixed:
    """A mixture over S labels, of which each line has one: its characters reveal more and more which.

    Args:
        model: The model that reads labels.
        label: The only label; all labels by default.
    """

    def __init__(self, model: Model, label: str | None) -> None:
        self._model = model
        tokens, frequencies = model.vocabulary.starts(label)
        self._tokens = torch.from_numpy(tokens).to(model.device)  # (S,)
        self._prior = torch.from_numpy(frequencies).to(model.device).log()  # (S,)
        self.vocabulary = Vocabulary(model.vocabulary.characters)
        self.training, self.context_length = model.training, model.context_length

    def train(self, mode: bool = True) -> Any:
        """Switch the model between training and evaluation mode."""
        self._model.train(mode)
        self.training = mode

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._model.device

    @property
    def max_positions(self) -> int | None:
        """Number of positions of a line that the model can read; None if unlimited."""
        return self._model.max_positions

    def step(self, token: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits after a token: see `Model`.

        The state is the log probability of each label so far `(B, S)`, that of each next token given the label
        `(B, S, V)`, and the model's own state of each label.
        """
        B, S = len(token), len(self._tokens)
        if state is None:
            posterior, tokens, inner = self._prior.expand(B, S), self._tokens.repeat(B), None
        else:
            posterior, log_probs, *each = state
            likelihood = log_probs.gather(2, token[:, None, None].expand(B, S, 1))[:, :, 0]
            updated = (posterior + likelihood).log_softmax(1)
            posterior = updated.where(~updated.isnan(), self._prior)  # after a beginning of probability 0
            tokens, inner = token.repeat_interleave(S), tuple(tensor.flatten(0, 1) for tensor in each)
        logits, after = self._model.step(tokens, inner)
        log_probs = logits.float().log_softmax(1).view(B, S, -1)
        mixed = (posterior[:, :, None] + log_probs).logsumexp(1)
        return mixed, (posterior, log_probs, *(tensor.unflatten(0, (B, S)) for tensor in after))

    def target_log_probs(self, batch: Batch) -> Tensor:
        """Log probability of each target of a batch whose rows are one line each; 0 at padding; `(B, T)`."""
        line = torch.full(batch.target.shape, -torch.inf, dtype=torch.double, device=batch.target.device)
        for token, prior in zip(self._tokens, self._prior, strict=True):
            labelled = Batch(batch.context.where(batch.position > 0, token), *batch[1:])
            line = line.logaddexp(prior + self._model.target_log_probs(labelled).double().cumsum(1))
        log_probs = line.diff(dim=1, prepend=torch.zeros_like(line[:, :1]))
        after_impossible = line.isneginf() & log_probs.isnan()
        return log_probs.masked_fill(after_impossible, -torch.inf).masked_fill(batch.target < 0, 0.0).float()

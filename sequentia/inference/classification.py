"""Model -> the probability of each label of given texts, by Bayes' theorem."""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.batch import Batch
from sequentia.inference.model import Model, batch_positions, check_probabilities
from sequentia.inference.scoring import score
from sequentia.text import strings
from sequentia.vocabulary import Vocabulary

log = logging.getLogger(__name__)


def classify(model: Model, texts: Iterable[str]) -> list[dict[str, float]]:
    """The probability of each label given the text: P(label | text) is proportional to P(label) P(text | label).

    P(label) is the label's frequency among the labelled training lines.

    Args:
        model: Any architecture, trained on lines with labels.
        texts: Lines without boundary tokens.

    Returns:
        For each text the probabilities by label, the most probable first. They are the frequencies of the labels, and a
        warning is logged, if the model cannot produce the text.

    Raises:
        UserError: The model has no labels, or see `score`.
    """
    vocabulary, texts = _with_labels(model), list(strings(texts, "the texts to classify"))
    nll = torch.tensor(
        [[s.nll for s in score(model, texts, label)] for label in vocabulary.labels], dtype=torch.double
    ).T  # (N, K)
    impossible = int(nll.isinf().all(1).sum())
    if impossible:
        log.warning(f"{impossible:,} of {len(texts):,} texts cannot be classified: no label can produce them")
    probabilities, order = _posterior(vocabulary, -nll).exp().sort(dim=1, descending=True, stable=True)
    return [
        {vocabulary.labels[k]: probability for k, probability in zip(ranked, row, strict=True)}
        for ranked, row in zip(order.tolist(), probabilities.tolist(), strict=True)
    ]


def label_log_probs(model: Model, batch: Batch) -> tuple[Tensor, Tensor]:
    """What `classify` computes of texts, of the N lines of a batch: each label replaces their first tokens in turn.

    Args:
        model: Any architecture, trained on lines with labels, in evaluation mode.
        batch: Lines packed into rows.

    Returns:
        The token that each line starts with `(N,)`, and log P(label | line) `(N, K)` in double precision.

    Raises:
        UserError: The model has no labels, or its probabilities are NaN.
    """
    vocabulary, kept = _with_labels(model), batch.target >= 0
    starts = kept & (batch.position == 0)  # (B, T)
    line = starts[kept].cumsum(0) - 1  # of each predicted character, (M,)
    found = []
    labels = torch.arange(len(vocabulary), vocabulary.num_tokens, device=batch.target.device)
    for tokens in labels.split(max(1, batch_positions(len(vocabulary)) // batch.target.numel())):
        context = torch.where(starts, tokens[:, None, None], batch.context).flatten(0, 1)  # (S B, T)
        target, position = (tensor.repeat(len(tokens), 1) for tensor in batch[1:3])
        log_probs = model.target_log_probs(Batch(context, target, position, batch.total)).double()
        log_probs = check_probabilities(log_probs).view(-1, *kept.shape)[:, kept]  # (S, M)
        found.append(log_probs.new_zeros(len(tokens), int(starts.sum())).index_add(1, line, log_probs))
    return batch.context[starts], _posterior(vocabulary, torch.cat(found).T)


def _with_labels(model: Model) -> Vocabulary:
    if not model.vocabulary.labels:
        raise UserError("the model has no labels: train it on lines with labels")
    return model.vocabulary


def _posterior(vocabulary: Vocabulary, log_likelihood: Tensor) -> Tensor:
    """The log of P(label | text) from that of P(text | label), both `(N, K)`; P(label) if P(text) is 0."""
    prior = torch.from_numpy(vocabulary.label_counts[1:]).to(log_likelihood).log()
    joint = prior + log_likelihood
    return joint.where(~joint.isneginf().all(1, keepdim=True), prior).log_softmax(1)

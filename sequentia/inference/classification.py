"""Model -> the probability of each label of given texts, by Bayes' theorem."""

import logging
from collections.abc import Iterable

import numpy as np

from sequentia.errors import UserError
from sequentia.inference.model import Model
from sequentia.inference.scoring import score
from sequentia.text import strings

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
    vocabulary, texts = model.vocabulary, list(strings(texts, "the texts to classify"))
    if not vocabulary.labels:
        raise UserError("the model has no labels: train it on lines with labels")
    frequencies = vocabulary.label_counts[1:] / vocabulary.label_counts[1:].sum()
    nll = np.array([[s.nll for s in score(model, texts, label)] for label in vocabulary.labels]).T  # (N, K)
    impossible = np.isinf(nll).all(1)
    if impossible.any():
        log.warning(f"{impossible.sum():,} of {len(texts):,} texts cannot be classified: no label can produce them")
    nll[impossible] = 0.0
    joint = frequencies * np.exp(nll.min(1, keepdims=True) - nll)
    probabilities = joint / joint.sum(1, keepdims=True)
    order = np.argsort(-probabilities, 1, kind="stable")
    return [
        {vocabulary.labels[k]: float(row[k]) for k in ranked} for row, ranked in zip(probabilities, order, strict=True)
    ]

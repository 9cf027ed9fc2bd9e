"""The probability of every line of a small model, and whether samples follow it."""

from collections import Counter
from collections.abc import Iterable
from itertools import product

import torch

from sequentia.models import LanguageModel, Transformer

LINES = ["".join(letters) for length in range(5) for letters in product("abc", repeat=length)]
"""Every line of the model that `uneven` returns."""


def uneven() -> Transformer:
    """A model of lines of up to 4 characters, some of which are much likelier than others."""
    model = Transformer("abc", 5, n_layer=1, n_head=1, n_embd=8).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=generator, std=0.3)
    return model


@torch.no_grad()
def probabilities(model: LanguageModel, lines: Iterable[str], temperature: float = 1.0) -> dict[str, float]:
    """The probability of each line, end included, one token at a time."""
    found = {}
    for text in lines:
        state, total = None, 0.0
        ids = model.vocabulary.encode(text).tolist()
        for token, target in zip([0, *ids], [*ids, 0], strict=True):
            logits, state = model.step(torch.tensor([token]), state)
            total += float((logits[0].double() / temperature).log_softmax(0)[target])
        found[text] = float(torch.tensor(total).exp())
    return found


def chi_square_test(samples: list[str], weights: dict[str, float]) -> None:
    """Check that samples have the probabilities that are proportional to `weights`, at a level of 0.001."""
    counts, total = Counter(samples), sum(weights.values())
    assert counts.keys() <= weights.keys()
    expected = {text: len(samples) * weight / total for text, weight in weights.items()}
    chi2 = sum((counts[text] - n) ** 2 / n for text, n in expected.items())
    freedom = len(expected) - 1
    assert float(torch.special.gammaincc(torch.tensor(freedom / 2), torch.tensor(chi2 / 2))) > 1e-3

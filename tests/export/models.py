"""Models to export."""

import torch

from sequentia.models import LanguageModel

CHARACTERS = "\n .abcé😀"
"""Whitespace, the dot that elsewhere shows the boundary, and characters of two and four bytes in UTF-8."""


def perturbed(model: LanguageModel) -> LanguageModel:
    """The model with noise added to its weights, some of which are initialized to zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()

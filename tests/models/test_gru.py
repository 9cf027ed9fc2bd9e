from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sequentia.models import GRU, LanguageModel


def cell_loop(w: dict[str, Tensor], line: list[int], reset_after: bool) -> Tensor:
    """Logits of a line from a two-layer GRU's weights, with the reset gate after or before the product with h."""
    h, logits = list(w["start"].view(2, 6)), []
    for token in line:
        x = w["embedding.weight"][token]
        for i in range(2):
            own = (w[f"layers.weight_ih_l{i}"] @ x + w[f"layers.bias_ih_l{i}"]).chunk(3)
            matrices, biases = w[f"layers.weight_hh_l{i}"].chunk(3), w[f"layers.bias_hh_l{i}"].chunk(3)
            r, z = (torch.sigmoid(own[k] + matrices[k] @ h[i] + biases[k]) for k in (0, 1))
            past = r * (matrices[2] @ h[i] + biases[2]) if reset_after else matrices[2] @ (r * h[i]) + biases[2]
            x = h[i] = (1 - z) * torch.tanh(own[2] + past) + z * h[i]
        logits.append(w["head.weight"] @ x + w["head.bias"])
    return torch.stack(logits)


@torch.no_grad()
def test_forward_equals_a_cell_loop_that_resets_after_the_product(
    perturb: Callable[[LanguageModel], LanguageModel], line: list[int]
) -> None:
    model = perturb(GRU("abcd", 9, n_layer=2, n_embd=5, n_hidden=6))
    logits = model(torch.tensor([line]))[0]
    torch.testing.assert_close(logits, cell_loop(model.state_dict(), line, reset_after=True))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(logits, cell_loop(model.state_dict(), line, reset_after=False))

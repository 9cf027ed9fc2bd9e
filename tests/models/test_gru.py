from collections.abc import Callable

import torch

from sequentia.models import GRU, LanguageModel


@torch.no_grad()
def test_forward_equals_a_cell_loop_that_resets_after_the_product(
    perturb: Callable[[LanguageModel], LanguageModel], line: list[int]
) -> None:
    model = perturb(GRU("abcd", 9, n_layer=2, n_embd=5, n_hidden=6))
    w = model.state_dict()
    h, logits = list(w["start"].view(2, 6)), []
    for token in line:
        x = w["embedding.weight"][token]
        for i in range(2):
            own = (w[f"layers.weight_ih_l{i}"] @ x + w[f"layers.bias_ih_l{i}"]).chunk(3)
            matrices, biases = w[f"layers.weight_hh_l{i}"].chunk(3), w[f"layers.bias_hh_l{i}"].chunk(3)
            r, z = (torch.sigmoid(own[k] + matrices[k] @ h[i] + biases[k]) for k in (0, 1))
            past = r * (matrices[2] @ h[i] + biases[2])
            x = h[i] = (1 - z) * torch.tanh(own[2] + past) + z * h[i]
        logits.append(w["head.weight"] @ x + w["head.bias"])
    torch.testing.assert_close(model(torch.tensor([line]))[0], torch.stack(logits))

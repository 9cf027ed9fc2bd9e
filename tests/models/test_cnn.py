from collections.abc import Callable

import pytest
import torch

from sequentia.models import CNN, LanguageModel

Perturb = Callable[[LanguageModel], LanguageModel]


@pytest.mark.parametrize("n_layer", [1, 4, 12])
@torch.no_grad()
def test_forward_equals_a_masked_dense_computation_whose_dilations_restart_after_ten(
    n_layer: int, perturb: Perturb, line: list[int]
) -> None:
    dilations = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1, 2][:n_layer]
    T, C = len(line), 5
    model = perturb(CNN("abcd", 9, n_layer=n_layer, n_embd=C))
    w = model.state_dict()
    x = w["embedding.weight"][torch.tensor(line)]
    skips = w["skip.bias"].expand(T, C)
    for i, dilation in enumerate(dilations):
        # Each output is connected to every input, and all but two of the connections are masked.
        past, now = w[f"gates.{i}.weight"].split(C, dim=1)
        dense = torch.zeros(T, T, 2 * C, C, dtype=torch.float64)
        for t in range(T):
            dense[t, t] = now
            if t >= dilation:
                dense[t, t - dilation] = past
        signal, gate = (torch.einsum("tjoc,jc->to", dense, x) + w[f"gates.{i}.bias"]).chunk(2, 1)
        out = torch.tanh(signal) * torch.sigmoid(gate)
        skips = skips + out @ w["skip.weight"][:, i * C : (i + 1) * C].T
        if i < n_layer - 1:
            x = x + out @ w[f"residuals.{i}.weight"].T + w[f"residuals.{i}.bias"]
    y = torch.relu(torch.relu(skips) @ w["mix.weight"].T + w["mix.bias"])
    torch.testing.assert_close(model(torch.tensor([line]))[0], y @ w["head.weight"].T + w["head.bias"])

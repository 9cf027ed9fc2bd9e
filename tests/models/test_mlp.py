from collections.abc import Callable

import pytest
import torch

from sequentia.models import MLP, LanguageModel

Perturb = Callable[[LanguageModel], LanguageModel]


@pytest.mark.parametrize("window", [1, 3, 20])
@torch.no_grad()
def test_forward_equals_an_explicit_window_and_product(window: int, perturb: Perturb, line: list[int]) -> None:
    model = perturb(MLP("abcd", 9, window=window, n_embd=5, n_hidden=7))
    w = model.state_dict()
    logits = []
    for t in range(len(line)):
        tokens = [line[t - k] if t >= k else 0 for k in range(window)]
        x = torch.cat([w["embedding.weight"][token] for token in tokens])
        hidden = torch.tanh(w["hidden.weight"] @ x + w["hidden.bias"])
        logits.append(w["head.weight"] @ hidden + w["head.bias"])
    torch.testing.assert_close(model(torch.tensor([line]))[0], torch.stack(logits))

from collections.abc import Callable

import torch

from sequentia.models import BagOfWords, LanguageModel

Perturb = Callable[[LanguageModel], LanguageModel]


@torch.no_grad()
def test_forward_equals_an_explicit_averaging_matrix(perturb: Perturb, line: list[int]) -> None:
    model = perturb(BagOfWords("abcd", 9, n_embd=6, n_hidden=10))
    w = model.state_dict()
    x = torch.stack(
        [w["token_embedding.weight"][token] + w["position_embedding.weight"][t] for t, token in enumerate(line)]
    )
    average = torch.zeros(9, 9, dtype=torch.float64)
    for t in range(9):
        for j in range(t + 1):
            average[t, j] = 1 / (t + 1)
    x = x + average @ x
    hidden = torch.tanh(x @ w["expand.weight"].T + w["expand.bias"])
    x = x + hidden @ w["proj.weight"].T + w["proj.bias"]
    torch.testing.assert_close(model(torch.tensor([line]))[0], x @ w["head.weight"].T + w["head.bias"])

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


@torch.no_grad()
def test_the_order_of_earlier_tokens_does_not_change_the_logits(perturb: Perturb, line: list[int]) -> None:
    model = perturb(BagOfWords("abcd", 9))
    logits = model(torch.tensor([line]))[0, -1]
    torch.testing.assert_close(model(torch.tensor([[*line[-2::-1], line[-1]]]))[0, -1], logits)
    # The same tokens, but with another one last.
    other = model(torch.tensor([[line[-1], *line[1:-1], line[0]]]))[0, -1]
    assert not torch.allclose(other, logits)

from collections.abc import Callable

import torch

from sequentia.models import LSTM, LanguageModel


@torch.no_grad()
def test_forward_equals_a_cell_loop(perturb: Callable[[LanguageModel], LanguageModel], line: list[int]) -> None:
    model = perturb(LSTM("abcd", 9, n_layer=2, n_embd=5, n_hidden=6))
    w = model.state_dict()
    start = w["start"].view(2, 2, 6)
    h, c, logits = list(start[0]), list(start[1]), []
    for token in line:
        x = w["embedding.weight"][token]
        for k in range(2):
            own = w[f"layers.weight_ih_l{k}"] @ x + w[f"layers.bias_ih_l{k}"]
            i, f, g, o = (own + w[f"layers.weight_hh_l{k}"] @ h[k] + w[f"layers.bias_hh_l{k}"]).chunk(4)
            c[k] = torch.sigmoid(f) * c[k] + torch.sigmoid(i) * torch.tanh(g)
            x = h[k] = torch.sigmoid(o) * torch.tanh(c[k])
        logits.append(w["head.weight"] @ x + w["head.bias"])
    torch.testing.assert_close(model(torch.tensor([line]))[0], torch.stack(logits))


def test_only_forget_gates_start_with_a_bias_of_1() -> None:
    w = LSTM("abcd", 9, n_layer=2, n_hidden=6).state_dict()
    for layer in range(2):
        bias = w[f"layers.bias_ih_l{layer}"]
        assert (bias[6:12] == 1).all()
        assert (bias[:6].abs() < 1).all()
        assert (bias[12:].abs() < 1).all()

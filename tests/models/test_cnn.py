from collections.abc import Callable

import pytest
import torch

from sequentia.errors import UserError
from sequentia.models import CNN, LanguageModel

OffStart = Callable[[LanguageModel], LanguageModel]


@torch.no_grad()
def test_forward_equals_a_masked_dense_computation(off_start: OffStart, line: list[int]) -> None:
    T, C = len(line), 5
    model = off_start(CNN("abcd", T, n_layer=5, n_embd=C))
    w = model.state_dict()
    x = w["embedding.weight"][torch.tensor(line)]
    skips = w["skip.bias"].expand(T, C)
    for i, dilation in enumerate((1, 2, 4, 8, 1)):
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
        if i < 4:
            x = x + out @ w[f"residuals.{i}.weight"].T + w[f"residuals.{i}.bias"]
    y = torch.relu(torch.relu(skips) @ w["mix.weight"].T + w["mix.bias"])
    torch.testing.assert_close(model(torch.tensor([line]))[0], y @ w["head.weight"].T + w["head.bias"])


@pytest.mark.parametrize("n_layer", [1, 2, 3])
@torch.no_grad()
def test_n_layers_see_the_last_2_to_the_n_tokens(n_layer: int, off_start: OffStart) -> None:
    model = off_start(CNN("abcd", 12, n_layer=n_layer))
    context = torch.randint(1, 5, (1, 12))
    logits = model(context)[0, -1]
    for back in range(12):
        changed = context.clone()
        changed[0, 11 - back] = changed[0, 11 - back] % 4 + 1
        assert torch.equal(model(changed)[0, -1], logits) == (back >= 2**n_layer)


@pytest.mark.parametrize(
    ("context_length", "dilations"), [(2, [1, 1, 1, 1]), (5, [1, 2, 4, 1]), (8, [1, 2, 4, 1]), (9, [1, 2, 4, 8])]
)
def test_dilations_start_again_before_one_reaches_beyond_the_longest_line(
    context_length: int, dilations: list[int]
) -> None:
    assert CNN("abcd", context_length, n_layer=4).dilations == dilations


def test_dropout_acts_in_training_alone(line: list[int]) -> None:
    model, context = CNN("abcd", 9, dropout=0.5), torch.tensor([line])
    assert not torch.equal(model(context), model(context))
    model.eval()
    assert torch.equal(model(context), model(context))


@pytest.mark.parametrize("name", ["n_layer", "n_embd"])
def test_a_size_below_1_is_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"model.{name} must be at least 1, got 0"):
        CNN("abcd", 9, **{name: 0})

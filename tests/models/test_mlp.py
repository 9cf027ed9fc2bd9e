from collections.abc import Callable

import pytest
import torch

from sequentia.errors import UserError
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


@torch.no_grad()
def test_logits_depend_on_the_tokens_in_the_window_only(perturb: Perturb, line: list[int]) -> None:
    model = perturb(MLP("abcd", 9, window=3))
    logits = model(torch.tensor([line]))[0]
    for back in range(6):
        changed = torch.tensor([line])
        changed[0, 6 - back] = changed[0, 6 - back] % 4 + 1
        assert torch.equal(model(changed)[0, 6], logits[6]) == (back >= 3)


def test_dropout_is_active_only_in_training_mode(line: list[int]) -> None:
    model, context = MLP("abcd", 9, dropout=0.5), torch.tensor([line])
    assert not torch.equal(model(context), model(context))
    model.eval()
    assert torch.equal(model(context), model(context))


def test_the_only_hidden_matrix_is_the_tanh_layers() -> None:
    model = MLP("abcd", 9)
    assert model.hidden_matrices() == {model.hidden.weight: 1}


@pytest.mark.parametrize("name", ["window", "n_embd", "n_hidden"])
def test_a_size_below_1_raises_an_error_that_names_the_option(name: str) -> None:
    with pytest.raises(UserError, match=f"model.{name} must be at least 1, got 0"):
        MLP("abcd", 9, **{name: 0})


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_a_dropout_outside_0_to_1_raises(dropout: float) -> None:
    with pytest.raises(UserError, match=r"model.dropout must be in \[0, 1\)"):
        MLP("abcd", 9, dropout=dropout)

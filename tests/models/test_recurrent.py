"""The common base of RNN, GRU and LSTM."""

import pytest
import torch

from sequentia.models import GRU, LSTM, RNN
from sequentia.models.recurrent import Recurrent


@pytest.fixture(params=[RNN, GRU, LSTM])
def architecture(request: pytest.FixtureRequest) -> type[Recurrent]:
    return request.param


def test_the_initial_state_starts_at_zero_is_learned_and_has_no_weight_decay(
    architecture: type[Recurrent], line: list[int]
) -> None:
    torch.manual_seed(1)
    model = architecture("abcd", 9, n_layer=2)
    assert not model.start.any()
    model(torch.tensor([line])).square().sum().backward()
    assert model.start.grad is not None
    for state in model.start.grad.view(model.n_states, 2, -1).flatten(0, 1):
        assert state.any()
    (group,) = (g for g in model.parameter_groups() if any(p is model.start for p in g["params"]))
    assert group["weight_decay"] == 0

import math

import pytest
import torch
from torch import Tensor, nn

from sequentia.models.parts.dropout import Dropout, scaled_mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_elements_are_zeroed_at_rate_p_and_the_others_scaled_by_1_over_1_minus_p(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    y = Dropout(p)(torch.ones(1000, 1001, dtype=dtype))
    # Five standard deviations of a mean of a million draws.
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 1e6))
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - p)], dtype=dtype), rtol=1e-4, atol=0)


def test_the_seed_of_pytorchs_generator_determines_the_mask() -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return Dropout(0.5)(torch.ones(100))

    assert draw(1).equal(draw(1))
    assert not draw(1).equal(draw(2))


def test_the_gradient_is_the_mask() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.equal(y.detach())


def test_evaluation_mode_and_p_0_are_the_identity() -> None:
    x = torch.ones(1000)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


@pytest.mark.parametrize(("p", "rounded"), [(1e-6, 0), (0.3, 19661), (1 - 1e-9, 65535)])
def test_p_is_rounded_to_a_multiple_of_2_to_the_minus_16_below_1(p: float, rounded: int) -> None:
    torch.manual_seed(0)
    mask = scaled_mask(torch.ones(1000, 1000, dtype=torch.double), p)
    torch.testing.assert_close(mask.max().item(), 1 / (1 - rounded / 2**16), rtol=1e-12, atol=0)
    assert (mask == 0).any() == (rounded > 0)


def test_a_compiled_model_uses_pytorchs_dropout() -> None:
    x, drawn = torch.ones(1000), []
    for dropout in (Dropout(0.5), nn.Dropout(0.5)):
        compiled = torch.compile(dropout, backend="eager", fullgraph=True)
        torch.manual_seed(0)
        drawn.append(compiled(x))
    assert torch.equal(*drawn)

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sequentia.models.kernels import Dropout, attention, drop, gelu


def causal(size: int) -> Tensor:
    return torch.full((size, size), -math.inf).triu(1).to(torch.double)


@pytest.mark.parametrize("length", [1, 7, 150], ids=["one token", "short", "long"])
def test_attention_is_pytorchs(length: int) -> None:
    q, k, v = torch.randn(3, 2, 3, length, 4, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(attention(q, k, v, causal(length)), expected, rtol=1e-12, atol=1e-12)


def test_gelu_is_pytorchs() -> None:
    x = torch.linspace(-9, 9, 2001, dtype=torch.double)
    torch.testing.assert_close(gelu(x), F.gelu(x, approximate="tanh"), rtol=1e-12, atol=1e-15)


def test_gelu_has_its_derivative() -> None:
    x = torch.linspace(-6, 6, 50, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(gelu, x)


def test_attention_has_its_derivative() -> None:
    torch.manual_seed(0)
    qkv = [torch.randn(1, 2, 5, 3, dtype=torch.double, requires_grad=True) for _ in range(3)]
    assert torch.autograd.gradcheck(lambda q, k, v: attention(q, k, v, causal(5)), qkv)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_the_rest_up(share: float) -> None:
    torch.manual_seed(0)
    y = drop(torch.ones(1000, 1001), share)
    # Five standard deviations of a mean of a million draws.
    assert (y == 0).double().mean().item() == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 1e6))
    torch.testing.assert_close(y[y != 0].unique(), torch.tensor([1 / (1 - share)]), rtol=1e-4, atol=0)


def test_dropout_draws_neighbours_apart() -> None:
    torch.manual_seed(0)
    zero = (drop(torch.ones(1000, 1000), 0.5) == 0).double()
    for shift in (1, 2, 4, 1000):
        a, b = zero.flatten()[:-shift], zero.flatten()[shift:]
        assert ((a - 0.5) * (b - 0.5)).mean().item() == pytest.approx(0, abs=5 * 0.25 / 1000)


def test_dropout_follows_the_seed() -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return drop(torch.ones(100), 0.5)

    assert draw(1).equal(draw(1))
    assert not draw(1).equal(draw(2))


def test_dropout_passes_the_gradient_of_what_it_keeps() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = drop(x, 0.5)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.equal(y.detach())


def test_dropout_is_for_training_alone() -> None:
    x = torch.ones(1000)
    assert Dropout(0.5).eval()(x) is x
    assert drop(x, 0.0) is x

"""The block as one function is the block of layers."""

import math

import pytest
import torch
from torch import Tensor

from sequentia.models import block_kernel
from sequentia.models.packing import seen
from sequentia.models.transformer import Block

POSITION = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 0, 1, 2, 3, 4]])
MASK = torch.zeros((), dtype=torch.double).where(seen(POSITION), -math.inf)[:, None]


def make_block(dropout: float) -> Block:
    torch.manual_seed(0)
    block = Block(8, 2, dropout).double()
    for parameter in block.parameters():  # norms start at 1 and 0, which hides where they are multiplied in
        torch.nn.init.normal_(parameter)
    return block


def derivatives(block: Block, x: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    x = x.clone().requires_grad_()
    block.zero_grad()
    y = block(x, MASK)
    (y * torch.linspace(-1, 1, y.numel(), dtype=torch.double).view(y.shape)).sum().backward()
    return [y.detach(), x.grad, *(parameter.grad for parameter in block.parameters())]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_it_is_what_the_layers_give_and_so_are_all_derivatives(monkeypatch: pytest.MonkeyPatch, dropout: float) -> None:
    block, x = make_block(dropout), torch.randn(2, 6, 8, dtype=torch.double)
    at_once = derivatives(block, x)
    monkeypatch.setattr(block_kernel, "usable", lambda *args: False)
    for ours, layers in zip(at_once, derivatives(block, x), strict=True):
        torch.testing.assert_close(ours, layers, rtol=1e-11, atol=1e-11)


def test_it_has_its_derivative() -> None:
    block, x = make_block(0.0), torch.randn(2, 6, 8, dtype=torch.double, requires_grad=True)
    names = [name for name, _ in block.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(block, dict(zip(names, parameters, strict=True)), (x, MASK))

    assert torch.autograd.gradcheck(call, (x, *block.parameters()), atol=1e-4)


def test_dropout_is_for_training_alone() -> None:
    block, x = make_block(0.5).eval(), torch.randn(2, 6, 8, dtype=torch.double, requires_grad=True)
    with torch.no_grad():
        expected = block(x, MASK)
    torch.testing.assert_close(block(x, MASK), expected, rtol=1e-11, atol=1e-11)


def test_where_it_is_used() -> None:
    x, mask = torch.zeros(1, 4, 8, requires_grad=True), torch.zeros(1, 1, 4, 4)
    assert block_kernel.usable(x, mask)
    assert not block_kernel.usable(x, torch.zeros(1, 1, 500, 500))
    assert not block_kernel.usable(x.detach(), mask)
    assert not block_kernel.usable(x.bfloat16(), mask)
    with torch.no_grad():
        assert not block_kernel.usable(x, mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert not block_kernel.usable(x, mask)

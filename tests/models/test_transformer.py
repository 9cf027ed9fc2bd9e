"""The Transformer's initial weights and options. tests/export/test_gpt2.py compares what it computes with GPT-2."""

import math

import pytest
import torch

from sequentia.errors import UserError
from sequentia.models import Transformer


@torch.no_grad()
def test_initial_weights_are_distributed_as_gpt2s() -> None:
    torch.manual_seed(1)
    n_layer = 8
    model = Transformer("".join(map(chr, range(256, 512))), 128, n_layer=n_layer, n_head=4, n_embd=128)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        else:
            # Each block adds two projections to the residual stream; the scale keeps its variance that of one.
            residual = name.endswith((".attention.proj.weight", ".proj.weight"))
            std = 0.02 / math.sqrt(2 * n_layer) if residual else 0.02
            # At least 16,384 numbers, whose standard deviation is known to half a percent.
            assert float(parameter.std()) == pytest.approx(std, rel=0.03), name
            assert float(parameter.mean()) == pytest.approx(0, abs=0.03 * std), name


def test_a_tied_head_is_the_token_embedding_and_an_untied_head_is_not() -> None:
    tied, untied = (Transformer("abc", 4, tied=tied) for tied in (True, False))
    assert tied.head.weight is tied.token_embedding.weight
    assert not torch.equal(untied.head.weight, untied.token_embedding.weight)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (tied, untied)]
    assert sizes[1] - sizes[0] == 4 * 64


def test_n_embd_that_is_not_a_multiple_of_n_head_raises() -> None:
    with pytest.raises(UserError, match=r"n_embd must be a multiple of n_head, got 10 and 4"):
        Transformer("abc", 4, n_embd=10, n_head=4)

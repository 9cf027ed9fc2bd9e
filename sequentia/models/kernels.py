"""Functions that PyTorch has too, written for small float32 models on a CPU, where they are most of a step.

Elsewhere (another device or precision, a model that is compiled or exported) each is PyTorch's own.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SHORT = 128
"""Tokens in a row up to which attention with its weights written out is the faster."""


def ours(x: Tensor) -> bool:
    """Whether `x` is what this file is for."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Scaled dot-product attention (Vaswani et al. 2017).

    Args:
        q: Queries `(B, H, T, D)`.
        k: Keys, the same shape.
        v: Values, the same shape.
        mask: Added to the scores: 0 where a query may look, -inf where not; broadcasts to `(B, H, T, T)`.

    Returns:
        `(B, H, T, D)`.
    """
    if q.shape[2] > SHORT or not ours(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    # PyTorch's fused kernel gains from not storing the weights of long rows; for short ones it is slower.
    return torch.add(mask, q @ k.mT, alpha=q.shape[-1] ** -0.5).softmax(-1) @ v


_LINEAR = 2 * math.sqrt(2 / math.pi)
_CUBIC = _LINEAR * 0.044715


def gelu_with_gate(x: Tensor) -> tuple[Tensor, Tensor]:
    """GELU, and the gate that `gelu_backward` wants.

    As x * sigmoid(2 u), which is 0.5 x (1 + tanh(u)): PyTorch's sigmoid is faster than its tanh.
    """
    gate = _quadratic(x, 1).mul_(x).sigmoid_()
    return gate * x, gate


def gelu_backward(grad: Tensor, x: Tensor, gate: Tensor) -> Tensor:
    """The derivative by `x`."""
    slope = _quadratic(x, 3).mul_(x)  # x times the derivative of 2 u
    return torch.ops.aten.sigmoid_backward(slope, gate).add_(gate).mul_(grad)


def _quadratic(x: Tensor, times: float) -> Tensor:
    """2 u / x where `times` is 1, the derivative of 2 u where it is 3."""
    return torch.addcmul(x.new_tensor(_LINEAR), x, x, value=times * _CUBIC)


class _GELU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, gate = gelu_with_gate(x)
        ctx.save_for_backward(x, gate)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return gelu_backward(grad, *ctx.saved_tensors)


def gelu(x: Tensor) -> Tensor:
    """GELU by its tanh approximation (Hendrycks & Gimpel 2016), as in GPT-2."""
    return _GELU.apply(x) if ours(x) else F.gelu(x, approximate="tanh")


def keep(x: Tensor, share: float) -> Tensor:
    """What dropout multiplies `x` by: 0 at a `share` of its elements, at the others what keeps the mean.

    Random numbers of 16 bits from NumPy take a tenth of the time of PyTorch's; `share` is rounded to them, and their
    seed comes from PyTorch's generator.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    words = np.random.SFC64(seed).random_raw(-(-x.numel() // 4))  # 64 bits each
    dropped = min(round(share * 2**16), 2**16 - 1)  # of 2**16 equally likely values
    kept = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(torch.from_numpy(words.view(np.int16)[: x.numel()]).view(x.shape), dropped - 2**15, out=kept)
    return kept.mul_(1 / (1 - dropped / 2**16))


def drop(x: Tensor, share: float) -> Tensor:
    """Dropout (Srivastava et al. 2014): a `share` of the elements set to 0, the others scaled up to keep the mean."""
    if share == 0.0:
        return x
    return x * keep(x, share) if ours(x) else F.dropout(x, share)


class Dropout(nn.Module):
    """`drop` as a layer: nothing but in training."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.share) if self.training else x

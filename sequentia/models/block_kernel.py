"""A Transformer block as one function, with its derivative written out.

In a small model most of a step is the cost of having PyTorch record, call and differentiate each operation by itself:
here all of a block are called without a record. It computes what `Block` and `Attention` in transformer.py say.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sequentia.models.kernels import SHORT, gelu_backward, gelu_with_gate, keep, ours

_EPS = 1e-5  # of nn.LayerNorm


def usable(x: Tensor, mask: Tensor) -> bool:
    """Whether `block` is worth its while: for training with short rows, on a CPU in single or double precision."""
    if not (ours(x) and torch.is_grad_enabled() and x.requires_grad):
        return False
    return mask.shape[-1] <= SHORT and not torch.is_autocast_enabled("cpu")


def block(x: Tensor, mask: Tensor, n_head: int, dropout: float, *parameters: Tensor) -> Tensor:
    """A pre-norm residual block: `x + attention(norm(x))`, then `x + mlp(norm(x))`.

    Args:
        x: `(B, T, C)`.
        mask: Added to the scores, `(B, 1, T, T)`: 0 where a query may look, -inf where not.
        n_head: Attention heads.
        dropout: Share of both branches' elements that is set to zero.
        parameters: Weight and bias of norm1, attention.qkv, attention.proj, norm2, expand and proj, in this order.

    Returns:
        `(B, T, C)`.
    """
    return _Block.apply(x, mask, n_head, dropout, *parameters)


class _Block(torch.autograd.Function):
    """Names: what a layer gives is named after the layer; `d_x` is the derivative of the loss by `x`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, n_head: int, dropout: float, *parameters: Tensor) -> Tensor:
        w_norm1, b_norm1, w_qkv, b_qkv, w_att, b_att, w_norm2, b_norm2, w_expand, b_expand, w_proj, b_proj = parameters
        B, T, C = x.shape
        H, D = n_head, C // n_head
        x = x.reshape(-1, C)
        norm1, *stats1 = torch.native_layer_norm(x, [C], w_norm1, b_norm1, _EPS)
        qkv = torch.addmm(b_qkv, norm1, w_qkv.T).view(B, T, 3, H, D).permute(2, 0, 3, 1, 4).reshape(3, B * H, T, D)
        q, k, v = qkv
        scores = torch.add(mask, torch.bmm(q, k.mT).view(B, H, T, T), alpha=D**-0.5)
        weight = scores.softmax(-1).view(B * H, T, T)
        heads = torch.bmm(weight, v).view(B, H, T, D).transpose(1, 2).reshape(-1, C)
        attention = torch.addmm(b_att, heads, w_att.T)
        keep1 = keep(attention, dropout) if dropout else None
        x1 = attention.add_(x) if keep1 is None else torch.addcmul(x, attention, keep1)
        norm2, *stats2 = torch.native_layer_norm(x1, [C], w_norm2, b_norm2, _EPS)
        expand = torch.addmm(b_expand, norm2, w_expand.T)
        gelu, gate = gelu_with_gate(expand)
        proj = torch.addmm(b_proj, gelu, w_proj.T)
        keep2 = keep(proj, dropout) if dropout else None
        y = proj.add_(x1) if keep2 is None else torch.addcmul(x1, proj, keep2)
        saved = (x, norm1, *stats1, qkv, weight, heads, keep1, x1, norm2, *stats2, expand, gate, gelu, keep2)
        ctx.save_for_backward(*saved, *parameters)
        return y.view(B, T, C)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        x, norm1, mean1, rstd1, qkv, weight, heads, keep1, x1, norm2, mean2, rstd2, expand, gate, gelu, keep2 = saved[
            :16
        ]
        w_norm1, b_norm1, w_qkv, _, w_att, _, w_norm2, b_norm2, w_expand, _, w_proj, _ = saved[16:]
        B, T, C = d_y.shape
        D = qkv.shape[-1]
        H = C // D
        d_y = d_y.reshape(-1, C)
        d_proj = d_y if keep2 is None else d_y * keep2
        d_expand = gelu_backward(d_proj @ w_proj, expand, gate)
        d_x1, d_w_norm2, d_b_norm2 = _norm_backward(d_expand @ w_expand, x1, C, mean2, rstd2, w_norm2, b_norm2)
        d_x1.add_(d_y)
        d_att = d_x1 if keep1 is None else d_x1 * keep1
        d_heads = (d_att @ w_att).view(B, T, H, D).transpose(1, 2).reshape(B * H, T, D)
        q, k, v = qkv
        d_scores = torch.ops.aten._softmax_backward_data(torch.bmm(d_heads, v.mT), weight, -1, weight.dtype)
        d_q, d_k, d_v = d_qkv = torch.empty_like(qkv)
        torch.baddbmm(d_q, d_scores, k, beta=0, alpha=D**-0.5, out=d_q)
        torch.baddbmm(d_k, d_scores.mT, q, beta=0, alpha=D**-0.5, out=d_k)
        torch.bmm(weight.mT, d_heads, out=d_v)
        d_qkv = d_qkv.view(3, B, H, T, D).permute(1, 3, 0, 2, 4).reshape(-1, 3 * C)
        d_x, d_w_norm1, d_b_norm1 = _norm_backward(d_qkv @ w_qkv, x, C, mean1, rstd1, w_norm1, b_norm1)
        d_x.add_(d_x1)
        return (
            *(d_x.view(B, T, C), None, None, None),
            *(d_w_norm1, d_b_norm1, d_qkv.T @ norm1, d_qkv.sum(0), d_att.T @ heads, d_att.sum(0)),
            *(d_w_norm2, d_b_norm2, d_expand.T @ norm2, d_expand.sum(0), d_proj.T @ gelu, d_proj.sum(0)),
        )


def _norm_backward(
    d_norm: Tensor, x: Tensor, channels: int, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Derivatives by a layer norm's input, weight and bias."""
    which = [True, True, True]
    return torch.ops.aten.native_layer_norm_backward(d_norm, x, [channels], mean, rstd, weight, bias, which)

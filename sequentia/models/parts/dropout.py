"""Dropout whose mask is drawn fast on a CPU."""

import numpy as np
import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` with a faster mask for float tensors on a CPU, where PyTorch draws it on one thread.

    Elsewhere (another device or precision, a compiled or traced model) it is PyTorch's own. The time that it
    saves per training step is in benchmarks/RESULTS.md.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Args:
        p: Probability that an element is set to 0. The others are scaled by 1 / (1 - p), which keeps the mean.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`x` with dropout in training mode, `x` itself in evaluation mode."""
        if not self.training or self.p == 0:
            return x
        fast = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
        if not fast or torch.compiler.is_compiling() or torch.jit.is_tracing():
            return super().forward(x)
        return x * scaled_mask(x, self.p)


def scaled_mask(x: Tensor, p: float) -> Tensor:
    """A factor for every element of `x`: 0 with probability p, else 1 / (1 - p).

    The random numbers are NumPy's, 16 bits each, to which p is rounded; their seed is drawn from PyTorch's generator.
    """
    seed = int(torch.empty((), dtype=torch.int64).random_())
    words = np.random.SFC64(seed).random_raw(-(-x.numel() // 4))  # 64 bits each, enough for 4 elements
    dropped = min(round(p * 2**16), 2**16 - 1)  # of 2^16 equally likely values
    kept = torch.empty(x.shape, dtype=x.dtype)
    torch.ge(torch.from_numpy(words.view(np.int16)[: x.numel()]).view(x.shape), dropped - 2**15, out=kept)
    return kept.mul_(1 / (1 - dropped / 2**16))

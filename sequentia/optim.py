"""Muon for the hidden matrices, AdamW for the rest."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Jordan et al. 2024: steepest at zero among those that converge


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of each matrix near 1, by a quintic Newton-Schulz iteration.

    Args:
        matrices: `(N, rows, columns)`, no more rows than columns.
        steps: Number of iterations.

    Returns:
        The same shape: roughly `U V^T` of each `U S V^T`, with singular values between about 0.7 and 1.2.
    """
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(Optimizer):
    """Momentum whose update is orthogonalised, for hidden weight matrices; AdamW for embeddings, head and vectors.

    Matrices of equal shape are orthogonalised together: at small sizes a step is made of overhead. A matrix that
    stacks several square ones (query, key and value) is taken as those.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; decoupled weight decay:
    Loshchilov & Hutter 2019.

    Args:
        params: Parameter groups; those with `hidden` true are Muon's, all others AdamW's.
        lr: Muon's learning rate: about the spectral norm of a step.
        momentum: Muon's momentum (Nesterov's).
        adamw_lr: AdamW's learning rate.
        betas: AdamW's decay rates.
        weight_decay: Decoupled weight decay of matrices, as a share of the learning rate.

    Raises:
        ValueError: An option is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.03,
        momentum: float = 0.95,
        adamw_lr: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.1,
    ) -> None:
        ranges = {"lr": (lr, math.inf), "adamw_lr": (adamw_lr, math.inf), "weight_decay": (weight_decay, math.inf)}
        for name, (value, most) in (ranges | {"momentum": (momentum, 1.0)}).items():
            if not 0 <= value < most:
                raise ValueError(f"{name} must be at least 0 and below {most:g}, got {value}")
        defaults = {"hidden": False, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults)
        others = [group for group in self.param_groups if not group["hidden"]]
        for group in others:
            group["lr"] = adamw_lr
        self._adamw = AdamW(others, betas=betas, fused=True) if others else None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["hidden"]:
                self._step_hidden(group)
        if self._adamw is not None:
            # Loading a state replaces both: what AdamW works on is always this optimizer's own.
            self._adamw.param_groups = [group for group in self.param_groups if not group["hidden"]]
            self._adamw.state = self.state
            self._adamw.step()
        return loss

    def _step_hidden(self, group: dict[str, Any]) -> None:
        params = [p for p in group["params"] if p.grad is not None]
        if not params:
            return
        grads = [p.grad for p in params]
        buffers = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in params]
        torch._foreach_lerp_(buffers, grads, 1 - group["momentum"])
        updates = torch._foreach_lerp(grads, buffers, group["momentum"])
        torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for p, update in zip(params, updates, strict=True):
            for part, change in zip(_square_parts(p), _square_parts(update), strict=True):
                flat = part.shape[0] <= part.shape[1]
                pair = (part, change) if flat else (part.mT, change.mT)
                by_shape.setdefault(pair[0].shape, []).append(pair)
        for (rows, columns), pairs in by_shape.items():
            steps = orthogonalise(torch.stack([change for _, change in pairs]))
            # Of the same size per element, whatever the shape (Liu et al. 2025, section 2.2, without its 0.2).
            scale = -group["lr"] * (columns / rows) ** 0.5
            torch._foreach_add_([part for part, _ in pairs], list(steps), alpha=scale)


def _square_parts(matrix: Tensor) -> list[Tensor]:
    """The square matrices that `matrix` stacks; itself where it stacks none, or an MLP's 4 C rows are meant."""
    rows, columns = matrix.shape
    return list(matrix.split(columns)) if rows == 3 * columns else [matrix]

"""Muon for the hidden matrices, AdamW for everything else."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

# Jordan et al. 2024. The steep slope at 0 lifts small singular values fast; the iteration does not converge to 1 but
# oscillates around it, which is good enough.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Replace the singular values of each matrix by values near 1, with a quintic Newton-Schulz iteration.

    Args:
        matrices: `(N, rows, columns)` with rows <= columns.
        steps: Number of iterations.

    Returns:
        The same shape: about `U V^T` of each `U S V^T`, with singular values between roughly 0.7 and 1.2.
    """
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(Optimizer):
    """Momentum with an orthogonalized update for hidden matrices; AdamW for embeddings, head and vectors.

    Matrices of one shape are orthogonalized in one batch: a small model's step consists mostly of per-call overhead.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; decoupled weight decay:
    Loshchilov & Hutter 2019.

    Args:
        params: Parameter groups. Those with `hidden` true are optimized by Muon, the others by AdamW. `stacked` in a
            hidden group is the number of matrices that each of its parameters stacks along the rows (3 for query, key
            and value in one); each of them is orthogonalized on its own.
        lr: Muon's learning rate. An update of a matrix has elements of root mean square lr / sqrt(smaller dimension).
        momentum: Muon's Nesterov momentum.
        adamw_lr: AdamW's learning rate.
        betas: AdamW's decay rates.
        weight_decay: Decoupled weight decay of matrices, as a factor of the learning rate.

    Raises:
        ValueError: An option is out of range.
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
        for name, (value, limit) in (ranges | {"momentum": (momentum, 1.0)}).items():
            if not 0 <= value < limit:
                raise ValueError(f"{name} must be at least 0 and below {limit:g}, got {value}")
        defaults = {"hidden": False, "stacked": None, "lr": lr, "momentum": momentum, "weight_decay": weight_decay}
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
            # Loading a state replaces the groups and the state, so AdamW is given the current ones.
            self._adamw.param_groups = [group for group in self.param_groups if not group["hidden"]]
            self._adamw.state = self.state
            self._adamw.step()
        return loss

    def _step_hidden(self, group: dict[str, Any]) -> None:
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}  # matrices to change, and their momentum
        for p, stacked in zip(group["params"], group["stacked"] or [1] * len(group["params"]), strict=True):
            if p.grad is None:
                continue
            buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
            buffer.lerp_(p.grad, 1 - group["momentum"])
            update = p.grad.lerp(buffer, group["momentum"])
            p.mul_(1 - group["lr"] * group["weight_decay"])
            for matrix, change in zip(p.chunk(stacked), update.chunk(stacked), strict=True):
                wide = matrix.shape[0] <= matrix.shape[1]
                pair = (matrix, change) if wide else (matrix.mT, change.mT)
                by_shape.setdefault(pair[0].shape, []).append(pair)
        for (rows, columns), pairs in by_shape.items():
            steps = orthogonalize(torch.stack([change for _, change in pairs]))
            # Orthogonal rows have elements of root mean square 1 / sqrt(columns); scaled to 1 / sqrt(rows).
            scale = -group["lr"] * (columns / rows) ** 0.5
            for (matrix, _), step in zip(pairs, steps, strict=True):
                matrix.add_(step, alpha=scale)

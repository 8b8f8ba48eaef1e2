"""Muon: matrices take steps of orthogonal matrices, everything else AdamW's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

# Coefficients of a step of the Newton-Schulz iteration, and the number of steps: Keller Jordan's.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_STEPS = 5


class Muon(torch.optim.AdamW):
    """AdamW, except that matrices move along the nearest orthogonal matrix to their momentum.

    Source: Keller Jordan's Muon (2024), with the scale of arXiv 2502.16982, eq. 4: an update is 0.2
    times the root of the larger side, so that its RMS is about that of AdamW's and one learning
    rate and weight decay serve both. `matrices` are 2-D parameters of `parameters` that are no
    embeddings; `settings` are AdamW's.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        matrices: Iterable[nn.Parameter],
        momentum: float = 0.95,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, **settings)
        self.momentum = momentum
        self._matrices = {id(each) for each in matrices}

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step; the matrices' gradients are spent by it."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for each in group["params"]:
                if id(each) in self._matrices and each.grad is not None:
                    alike.setdefault(each.shape, []).append(each)
            for some in alike.values():
                self._move(some, group["lr"], group["weight_decay"])
        super().step(closure)

    def _move(self, matrices: Sequence[nn.Parameter], rate: float, decay: float) -> None:
        """Move matrices of one shape: stacked, small ones take half the time."""
        means: list[Tensor] = []
        for each in matrices:
            state = self.state[each]
            if not state:
                # AdamW asks every state that it loads for its step.
                state["step"] = torch.tensor(0.0)
                state["momentum"] = torch.zeros_like(each)
            state["step"] += 1
            means.append(state["momentum"])
        gradients = [each.grad for each in matrices if each.grad is not None]
        torch._foreach_mul_(means, self.momentum)
        torch._foreach_add_(means, gradients)
        ahead = torch.stack(gradients).add_(torch.stack(means), alpha=self.momentum)
        scale = 0.2 * max(matrices[0].shape) ** 0.5
        for matrix, update in zip(matrices, orthogonal(ahead), strict=True):
            matrix.mul_(1 - rate * decay).add_(update, alpha=-rate * scale)
            matrix.grad = None  # AdamW passes over what has none


def orthogonal(matrices: Tensor) -> Tensor:
    """Return about the nearest orthogonal matrices (N, m, n) in float32, computed in bfloat16.

    They have the singular vectors of the matrices; their singular values lie between 0.7 and 1.2 or
    so instead of at 1, which is good enough for an update.

    >>> values = torch.linalg.svdvals(orthogonal(torch.randn(2, 20, 30)))
    >>> bool((0.5 < values).all() and (values < 1.3).all())
    True
    """
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=_B, alpha=_C), x, beta=_A)
    return (x.mT if tall else x).float()


def matrices(module: nn.Module) -> list[nn.Parameter]:
    """Return the 2-D parameters of a module's parts that are no embeddings."""
    tables = {
        id(each)
        for part in module.modules()
        if isinstance(part, nn.Embedding)
        for each in part.parameters(recurse=False)
    }
    return [each for each in module.parameters() if each.ndim == 2 and id(each) not in tables]

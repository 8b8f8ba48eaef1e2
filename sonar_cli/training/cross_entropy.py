"""Cross-entropy of a linear map's logits, which never exist all at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.training.batches import shaped

# Logits held at a time: 2**26 in float32 are 256 MiB. Of a small vocabulary few rows suffice, and
# their logits stay in a CPU's cache.
_LOGITS = 2**26
_ROWS = 1_024
# Rows are filled up to a multiple of this, so that few products are compiled (see `shaped`).
_FILLED = 128


def linear_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
    """Return the sum of `scale * cross_entropy(hidden @ weight.T, labels)` over n rows: a scalar.

    Hidden is (n, D), weight (V, D), labels (n,) int64 and scale (n,) float32. The gradients are
    computed together with the loss, chunk by chunk, so that the logits (n, V) are neither kept for
    the backward pass nor computed again in it. Products are in autocast's dtype where that is on,
    softmax and sums in float32.

    >>> hidden, weight = torch.randn(5, 4), torch.randn(7, 4)
    >>> labels = torch.tensor([0, 6, 3, 3, 1])
    >>> found = linear_cross_entropy(hidden, weight, labels, torch.ones(5))
    >>> torch.allclose(found, F.cross_entropy(hidden @ weight.T, labels, reduction="sum"))
    True
    """
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    else:
        hidden = hidden.to(weight.dtype)
    # Rows of scale 0 change nothing.
    spare = shaped(len(hidden), _FILLED) - len(hidden)
    hidden = F.pad(hidden, (0, 0, 0, spare))
    labels, scale = (F.pad(each, (0, spare)) for each in (labels, scale))
    with torch.autocast(device, enabled=False):
        loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, labels, scale)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    """The gradient of a row's logits is `scale * (softmax - one-hot label)`."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, scale: Tensor) -> Tensor:
        to_hidden, to_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if to_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if to_weight else None
        loss = torch.zeros((), device=hidden.device)
        rows = max(1, min(_ROWS, _LOGITS // len(weight)))
        for start in range(0, len(hidden), rows):
            part = slice(start, start + rows)
            logits = F.linear(hidden[part], weight)  # (rows, V)
            likely = logits.log_softmax(1, dtype=torch.float32)
            wanted = labels[part, None]
            loss -= (likely.gather(1, wanted)[:, 0] * scale[part]).sum()
            if not (to_hidden or to_weight):
                continue
            # In place: the log-probabilities turn into the logits' gradients.
            grad = likely.exp_()
            grad.scatter_add_(1, wanted, grad.new_full(wanted.shape, -1.0))
            grad = grad.mul_(scale[part, None]).to(weight.dtype)
            if grad_hidden is not None:
                grad_hidden[part] = grad @ weight
            if grad_weight is not None:
                grad_weight += grad.T @ hidden[part]
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.dtype = weight.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return (
            None if grad_hidden is None else grad_hidden * outer[0].to(grad_hidden.dtype),
            None if grad_weight is None else (grad_weight * outer[0]).to(ctx.dtype),
            None,
            None,
        )

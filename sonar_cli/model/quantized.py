"""Matrices stored as int8: `NAME` int8 (out, in), and `NAME_scale` float32 (out,).

The number in row i is `values[i] * scale[i]`. The scale of a row is a 127th of its largest
magnitude, so that no value is clipped.

>>> values, scale = quantize_rows(torch.tensor([[0.5, -1.27], [0.0, 0.0]]))
>>> values.tolist(), [round(float(each), 4) for each in scale]
([[50, -127], [0, 0]], [0.01, 0.0])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

# What the name of a matrix's scales has behind that of the matrix.
SCALE = "_scale"
# The number formats that weights are stored in, by name.
STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a matrix (out, in) as values int8 (out, in) and scales float32 (out,)."""
    weight = weight.detach().float()
    scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    return (weight / scale).round_().to(torch.int8), scale.squeeze(1)


def is_quantized(state: Mapping[str, Tensor]) -> bool:
    """Tell whether any of the tensors is stored as int8."""
    return any(name + SCALE in state for name in state)


def as_int8(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with every matrix as int8, and all others in float32."""
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim == 2 and name.endswith("weight"):
            found[name], found[name + SCALE] = quantize_rows(tensor)
        else:
            found[name] = tensor.float()
    return found


def dequantized(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors with every int8 matrix in float32, and without scales.

    >>> stored = as_int8({"a.weight": torch.tensor([[0.5, -1.27]]), "a.bias": torch.ones(1)})
    >>> sorted(stored), dequantized(stored)["a.weight"].round(decimals=4).tolist()
    (['a.bias', 'a.weight', 'a.weight_scale'], [[0.5, -1.2699999809265137]])
    """
    return with_matrices(state, rows)


def with_matrices(
    state: Mapping[str, Tensor], make: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """Return tensors with `make(values, scale)` for every int8 matrix, and without scales."""
    return {
        name: make(tensor, state[name + SCALE]) if name + SCALE in state else tensor
        for name, tensor in state.items()
        if not (name.endswith(SCALE) and name.removesuffix(SCALE) in state)
    }


def rows(values: Tensor, scale: Tensor) -> Tensor:
    """Return the float32 numbers (out, in) that values (out, in) and scales (out,) stand for."""
    return values.float() * scale.float()[:, None]


def trouble(state: Mapping[str, Tensor], name: str) -> str | None:
    """Say what keeps a tensor that is no floating-point one from being read; None if nothing."""
    tensor, scale = state[name], state.get(name + SCALE)
    if tensor.dtype != torch.int8 or scale is None:
        kind = str(tensor.dtype).removeprefix("torch.")
        return f"is of {kind}, but floating-point numbers are expected"
    if tensor.ndim != 2 or scale.shape != tensor.shape[:1] or not scale.is_floating_point():
        return "is of int8, but its scales are not one number a row"
    if not bool((scale.isfinite() & (scale >= 0)).all()):
        return "is of int8, but its scales are not all positive numbers"
    return None

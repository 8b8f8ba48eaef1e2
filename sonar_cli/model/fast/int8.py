"""Linear maps with int8 weights, on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonar_cli.model.fast.groups import forget
from sonar_cli.model.fast.packed import PacksLater
from sonar_cli.model.quantized import quantize_rows

# Number of outputs that are packed together: fbgemm packs taller matrices far more slowly.
_OUTPUTS = 8192


class Int8Linear(PacksLater):
    """Linear maps with the same input as one module with int8 weights, on the CPU.

    The weights of an output are `values * scale`. Inputs are quantized in each call (fbgemm's
    dynamic product) to 8 bits, or to 7 on a processor without VNNI, where 8 could overflow. All
    rows of an input share one quantization range. Each row is therefore first divided by its
    largest magnitude; otherwise a row of large numbers would leave few steps to the others.

    With VNNI the weights are used as mapped from their file until packing them, which takes seconds
    per gigabyte, pays (see `PacksLater`). Mapped and packed weights give the same result.
    """

    def __init__(self, weights: Int8Weights, bias: Tensor | None) -> None:
        super().__init__()
        self.weights: Int8Weights | None = weights
        self.bias = bias
        self.packed: list[torch.ScriptObject] = []
        self._seven_bits = not torch.cpu._is_vnni_supported()
        if self._seven_bits:
            self.pack()

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all maps side by side (..., out) for x (..., in) float32."""
        peak = x.abs().amax(-1, keepdim=True).clamp_(min=1e-12)
        product = self._product(x / peak).mul_(peak)
        return product if self.bias is None else product.add_(self.bias)

    def _product(self, x: Tensor) -> Tensor:
        if self.weights is not None:
            if not self._packing_pays(x):
                return _mapped_int8(x, self.weights)
            self.pack()
        product = torch.ops.quantized.linear_dynamic
        found = [product(x, part, reduce_range=self._seven_bits) for part in self.packed]
        return found[0] if len(found) == 1 else torch.cat(found, dim=-1)

    def pack(self) -> None:
        """Pack the weights for fbgemm, and free those mapped from their file."""
        if self.weights is None:
            return
        # (at most _OUTPUTS, in) and (at most _OUTPUTS,) each
        values, scales = (
            each.split(_OUTPUTS) for each in (self.weights.values, self.weights.scale)
        )
        self.packed = [_fbgemm(*part) for part in zip(values, scales, strict=True)]
        self.weights = None


@dataclass(frozen=True)
class Int8Weights:
    """Quantized weights: `values` int8 (out, in) times `scale` float32 (out,).

    `sums` int32 (out,) are the sums of the values over the inputs.
    """

    values: Tensor
    scale: Tensor
    sums: Tensor


def quantize(parts: Sequence[nn.Linear]) -> Int8Weights:
    """Return the weights of all maps as int8, with one scale per output; see `quantize_rows`.

    Memory of weights that are mapped from a file is freed.
    """
    values, scales = [], []
    for part in parts:
        value, scale = quantize_rows(part.weight)
        values.append(value)
        scales.append(scale)
        forget(part.weight)
    together = torch.cat(values)
    return Int8Weights(together, torch.cat(scales), together.sum(1, dtype=torch.int32))


def _mapped_int8(x: Tensor, weights: Int8Weights) -> Tensor:
    """Return what fbgemm computes for x (..., in): (..., out), from weights that are not packed.

    x is quantized as `(q - zero) * step` with q int8.
    """
    rows = x.reshape(-1, x.shape[-1])  # (rows, in)
    step, zero = torch._choose_qparams_per_tensor(rows)
    zero -= 128  # fbgemm's q is from 0 to 255, ours from -128 to 127
    q = (rows / step).round_().add_(zero).clamp_(-128, 127).to(torch.int8)
    summed = torch._int_mm(q, weights.values.t()) - zero * weights.sums  # (rows, out) int32
    return (summed.float() * (step * weights.scale)).unflatten(0, x.shape[:-1])


def _fbgemm(values: Tensor, scale: Tensor) -> torch.ScriptObject:
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    with warnings.catch_warnings():
        # PyTorch warns that it will drop quantized tensors, but nothing else is as fast so far.
        warnings.simplefilter("ignore", UserWarning)
        weight = torch._make_per_channel_quantized_tensor(values, scale.double(), zeros, 0)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(weight, None)
    forget(values)
    return packed

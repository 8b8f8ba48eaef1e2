"""Linear maps with int8 weights, on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonar_cli.model.fast.groups import forget
from sonar_cli.model.fast.packed import PacksLater
from sonar_cli.model.files import forget_pages

# Outputs packed together: fbgemm packs taller matrices at a fraction of the speed.
_OUTPUTS = 8192


class Int8Linear(PacksLater):
    """Linear maps of one input done as one, with int8 weights; on the CPU.

    A row of weights (one output) is `values * scale`; inputs are quantized as they come (fbgemm's
    dynamic product), to 8 bits, or to 7 where the processor has no VNNI and 8 could overflow. All
    rows of the input share one range, so each is first divided by its largest magnitude: a row of
    large numbers would leave few steps to the others.

    With VNNI the weights are used as they lie, mapped from their file, until they have served so
    many products of few rows that packing them, seconds for a gigabyte, pays. Both give the same
    result.
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
        """(..., in) float32 -> (..., the parts' out together)."""
        peak = x.abs().amax(-1, keepdim=True).clamp_(min=1e-12)
        product = self._product(x / peak).mul_(peak)
        return product if self.bias is None else product.add_(self.bias)

    def _product(self, x: Tensor) -> Tensor:
        if self.weights is not None:
            if not self._pays(x):
                return _mapped_int8(x, self.weights)
            self.pack()
        product = torch.ops.quantized.linear_dynamic
        found = [product(x, part, reduce_range=self._seven_bits) for part in self.packed]
        return found[0] if len(found) == 1 else torch.cat(found, dim=-1)

    def pack(self) -> None:
        """Lay the weights out for fbgemm and let go of them as they lay in their file."""
        if self.weights is None:
            return
        values, scales = (
            each.split(_OUTPUTS) for each in (self.weights.values, self.weights.scale)
        )
        self.packed = [_fbgemm(*part) for part in zip(values, scales, strict=True)]
        self.weights = None


@dataclass(frozen=True)
class Int8Weights:
    """Weights `values` int8 (out, in) times `scale` float32 (out,); `sums` int32 of the values."""

    values: Tensor
    scale: Tensor
    sums: Tensor


def quantize(parts: Sequence[nn.Linear]) -> Int8Weights:
    """Return the maps' weights together in int8.

    Symmetric, per output: the largest weight of a row becomes 127.
    """
    values, scales = [], []
    for part in parts:
        weight = part.weight.detach().float()
        scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
        values.append((weight / scale).round_().to(torch.int8))
        scales.append(scale.squeeze(1))
        forget(part.weight)
    together = torch.cat(values)
    return Int8Weights(together, torch.cat(scales), together.sum(1, dtype=torch.int32))


def _mapped_int8(x: Tensor, weights: Int8Weights) -> Tensor:
    """Compute what fbgemm computes: x (..., in) is `(q - zero) * step`, q of 8 bits."""
    rows = x.reshape(-1, x.shape[-1])
    step, zero = torch._choose_qparams_per_tensor(rows)
    zero -= 128  # fbgemm's q are 0..255
    q = (rows / step).round_().add_(zero).clamp_(-128, 127).to(torch.int8)
    summed = torch._int_mm(q, weights.values.t()) - zero * weights.sums
    return (summed.float() * (step * weights.scale)).unflatten(0, x.shape[:-1])


def _fbgemm(values: Tensor, scale: Tensor) -> torch.ScriptObject:
    zeros = torch.zeros(len(scale), dtype=torch.int64)
    with warnings.catch_warnings():
        # Quantized tensors are to leave PyTorch some day; no other way is as fast so far.
        warnings.simplefilter("ignore", UserWarning)
        weight = torch._make_per_channel_quantized_tensor(values, scale.double(), zeros, 0)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(weight, None)
    forget_pages(values)
    return packed

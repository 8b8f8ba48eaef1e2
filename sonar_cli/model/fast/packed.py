"""Linear maps for few rows at a time, with weights laid out once they have served for a while.

A step of the search multiplies a handful of rows by gigabytes of weights, so it is as fast as the
weights are read. On the CPU PyTorch's own product reads them at a fifth of the memory's speed,
oneDNN's at more than half of it, and over weights in its own blocked order at nearly all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from sonar_cli.model.fast.groups import forget, joined_bias

# A product of more rows than this is bound by arithmetic, and does not need packed weights.
FEW_ROWS = 64
# Products of few rows after which packed weights have about made up for their packing.
PACKING_PAYS = 32

# Rows that packed weights are laid out for: a beam of five.
_BEAM = 5
# One row by wide matrices: so many pieces are shared by the threads, up to so many inputs.
_PIECES, _WIDE = 16, 4096


def can_pack(dtype: torch.dtype = torch.float32) -> bool:
    """Tell whether oneDNN's operators for packed weights are here, and serve this dtype."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops, "mkldnn")):
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


class PacksLater(nn.Module):
    """Weights that are used as they lie until they have served for a while, and then packed.

    Products of FEWEST rows or more count, while their rows are few.
    """

    FEWEST: ClassVar = 1

    def __init__(self) -> None:
        super().__init__()
        self._products = 0

    def pack(self) -> None:
        """Lay the weights out for few rows and let go of them as they lay in their file."""
        raise NotImplementedError

    def _pays(self, x: Tensor) -> bool:
        """Count a product with x (..., in); tell whether packing pays by now."""
        rows = x.numel() // x.shape[-1]
        self._products += self.FEWEST <= rows <= FEW_ROWS
        return self._products > PACKING_PAYS


class PackedLinear(PacksLater):
    """Linear maps of one input done as one, their outputs side by side; on the CPU.

    Weights are used as they lie, mapped from their file, until they have served so many products
    of few rows that packing them, a second for a gigabyte, pays. One row alone is as fast without.
    """

    FEWEST = 2

    def __init__(self, parts: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weights = [part.weight.detach() for part in parts]  # each (out, in)
        self.bias = joined_bias(parts)
        self.packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., the parts' out together)."""
        if self.packed is None:
            if not self._pays(x):
                mapped = torch.cat([_mapped(x, weight) for weight in self.weights], dim=-1)
                return mapped if self.bias is None else mapped.add_(self.bias)
            self.pack()
        return _onednn(x, self.packed, self.bias)

    def pack(self) -> None:
        """Lay the weights out for oneDNN and let go of them as they lay in their file."""
        if self.packed is not None:
            return
        joined = self.weights[0] if len(self.weights) == 1 else torch.cat(self.weights)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(joined, _BEAM)
        for weight in self.weights:
            forget(weight)
        self.weights = []


def _mapped(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply x (..., in) by a weight (out, in) as it lies."""
    outputs, inputs = weight.shape
    if x.numel() != inputs or inputs > _WIDE or outputs % _PIECES or x.dtype != torch.float32:
        return _onednn(x, weight, None)
    # A batch of matrices by vectors, which the threads share, is read faster than one matrix; with
    # a column made another way than by transposing, its strides lead to a far slower product.
    column = x.reshape(1, inputs).t().expand(_PIECES, -1, -1)
    return torch.bmm(weight.view(_PIECES, -1, inputs), column).view(*x.shape[:-1], outputs)


def _onednn(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product

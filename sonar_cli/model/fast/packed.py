"""Linear maps for inputs of few rows, with weights that are packed after some use.

A step of the beam search multiplies a few rows by gigabytes of weights, so its speed is that of
reading the weights. On the CPU, PyTorch's own product reads them at a fifth of the memory
bandwidth, and oneDNN's at more than half of it. With packed weights, which are in oneDNN's own
blocked order, it reaches nearly all of it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.fast.groups import forget, joined_bias

# The most rows of an input for which packed weights are faster; with more, arithmetic is the limit.
FEW_ROWS = 64
# Number of products with few rows in which packed weights save about the time of packing them.
PACKING_PAYS = 32

# Number of weights up to which any product gains: calls and the joining of maps take their share.
_SMALL = 2**20

# Rows of the inputs that packed weights are optimized for: a beam of five.
_BEAM = 5
# A single row is multiplied by a weight in this many pieces, which the threads share.
_PIECES = 16
# The most inputs of a weight for which pieces are faster.
_MAX_INPUTS = 4096


def can_pack(dtype: torch.dtype = torch.float32) -> bool:
    """Tell whether oneDNN's operators for packed weights are available for this dtype."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops, "mkldnn")):
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


class PacksLater(nn.Module):
    """A module whose weights are packed after more than `PACKING_PAYS` products.

    Only products with FEWEST to `most` rows count, because only these gain from packing.
    """

    FEWEST: ClassVar = 1

    def __init__(self, most: int = FEW_ROWS) -> None:
        super().__init__()
        self._most = most
        self._products = 0

    def pack(self) -> None:
        """Pack the weights for inputs of few rows, and free those mapped from their file."""
        raise NotImplementedError

    def _packing_pays(self, x: Tensor) -> bool:
        """Count a product with x (..., in), and tell whether packing pays from now on."""
        rows = x.numel() // x.shape[-1]
        self._products += self.FEWEST <= rows <= self._most
        return self._products > PACKING_PAYS


class PackedLinear(PacksLater):
    """Linear maps with the same input as one module, on the CPU.

    The weights are used as mapped from their file until packing them, which takes a second per
    gigabyte, pays (see `PacksLater`). A single row is as fast without packing.
    """

    FEWEST = 2

    def __init__(self, parts: Sequence[nn.Linear]) -> None:
        weights = [part.weight.detach() for part in parts]  # each (out, in)
        small = sum(weight.numel() for weight in weights) <= _SMALL
        super().__init__(sys.maxsize if small else FEW_ROWS)
        self.weights = weights
        self.bias = joined_bias(parts)
        self.packed: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all maps side by side (..., out) for x (..., in).

        Gradients go through it to x; then PyTorch's own product is used, since oneDNN's has none.
        """
        if x.requires_grad and torch.is_grad_enabled():
            return F.linear(x, self._weight(), self.bias)
        if self.packed is None:
            if not self._packing_pays(x):
                mapped = torch.cat([_mapped(x, weight) for weight in self.weights], dim=-1)
                return mapped if self.bias is None else mapped.add_(self.bias)
            self.pack()
        return _onednn(x, self.packed, self.bias)

    def pack(self) -> None:
        """Pack the weights for oneDNN, and free those mapped from their file."""
        if self.packed is not None:
            return
        self.packed = torch.ops.mkldnn._reorder_linear_weight(self._weight(), _BEAM)
        for weight in self.weights:
            forget(weight)
        self.weights = []

    def _weight(self) -> Tensor:
        """Return the weights of all maps (out, in), as PyTorch lays them."""
        if self.packed is not None:
            return self.packed.to_dense()
        return self.weights[0] if len(self.weights) == 1 else torch.cat(self.weights)


def _mapped(x: Tensor, weight: Tensor) -> Tensor:
    """Return the product (..., out) of x (..., in) and an unpacked weight (out, in)."""
    outputs, inputs = weight.shape
    if x.numel() != inputs or inputs > _MAX_INPUTS or outputs % _PIECES or x.dtype != torch.float32:
        return _onednn(x, weight, None)
    # The threads share a batch of matrices, and read it faster than one matrix. The column has to
    # be a transposed row: with other strides the product is far slower.
    column = x.reshape(1, inputs).t().expand(_PIECES, -1, -1)  # (_PIECES, in, 1)
    # (_PIECES, out / _PIECES, in) by the column is (_PIECES, out / _PIECES, 1), then (..., out)
    return torch.bmm(weight.view(_PIECES, -1, inputs), column).view(*x.shape[:-1], outputs)


def _onednn(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product

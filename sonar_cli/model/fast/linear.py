"""Linear maps for few rows at a time, with weights laid out once they have served for a while.

A step of the search multiplies a handful of rows by gigabytes of weights, so it is as fast as the
weights are read. On the CPU PyTorch's own product reads them at a fifth of the memory's speed,
oneDNN's at more than half of it, and over weights in its own blocked order at nearly all of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from sonar_cli.model.files import forget_pages

# A product of more rows than this is bound by arithmetic, and does not need packed weights.
FEW_ROWS = 64
# Smaller matrices stay in the processor's caches, where the order matters little.
SMALLEST = 2**20
# Products of few rows after which packed weights have about made up for their packing.
PACKING_PAYS = 32

# Rows that packed weights are laid out for: a beam of five.
_BEAM = 5
# One row by wide matrices: so many pieces are shared by the threads, up to so many inputs.
_PIECES, _WIDE = 16, 4096
# Outputs packed together: fbgemm packs taller matrices at a fraction of the speed.
_INT8_OUTPUTS = 8192

# make(name in the model, maps of one input) -> the module that does all of them
Make = Callable[[str, Sequence[nn.Linear]], nn.Module]


def can_pack(dtype: torch.dtype = torch.float32) -> bool:
    """Tell whether oneDNN's operators for packed weights are here, and serve this dtype."""
    if not (torch.backends.mkldnn.is_available() and hasattr(torch.ops, "mkldnn")):
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


@dataclass(frozen=True)
class Group:
    """Linear maps of one input: `module.name` takes the place of the module's `parts`."""

    path: str
    module: nn.Module
    name: str
    parts: tuple[str, ...]
    maps: Sequence[nn.Linear]


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
            _forget(weight)
        self.weights = []


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
            each.split(_INT8_OUTPUTS) for each in (self.weights.values, self.weights.scale)
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
        _forget(part.weight)
    together = torch.cat(values)
    return Int8Weights(together, torch.cat(scales), together.sum(1, dtype=torch.int32))


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


def _forget(weight: Tensor) -> None:
    # The first four rows of an embedding may have been put into another order in memory alone.
    forget_pages(weight[4:])


def groups(model: nn.Module, smallest: int = SMALLEST) -> Iterator[Group]:
    """Find the linear maps of at least `smallest` weights, those of one input together.

    A module's class attribute JOINED names maps of one input that can become one module,
    `{"qkv": ("q", "k", "v")}`. A module's `tied` map shares the weight of an embedding.
    """
    for path, module in list(model.named_modules()):
        joined = getattr(module, "JOINED", {})
        linear = {name: each for name, each in module.named_children() if type(each) is nn.Linear}
        alone = linear.keys() - {part for parts in joined.values() for part in parts}
        for name, parts in ({name: (name,) for name in linear if name in alone} | joined).items():
            maps = [linear[part] for part in parts if part in linear]
            if maps and sum(each.weight.numel() for each in maps) >= smallest:
                yield Group(f"{path}.{name}", module, name, parts, maps)
        if isinstance(tied := getattr(module, "tied", None), Tensor) and tied.numel() >= smallest:
            yield Group(f"{path}.head", module, "head", (), [without_bias(tied)])


def replace(model: nn.Module, make: Make, smallest: int = SMALLEST) -> None:
    """Replace the model's linear maps by what `make` makes of them, in place (see `groups`)."""
    for group in groups(model, smallest):
        setattr(group.module, group.name, make(group.path, group.maps))
        for part in group.parts:
            if part != group.name:
                delattr(group.module, part)


def join(parts: Sequence[nn.Linear]) -> nn.Linear:
    """Return plain linear maps of one input as one."""
    if len(parts) == 1:
        return parts[0]
    weight = torch.cat([part.weight for part in parts])
    bias = joined_bias(parts)
    joined = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    joined.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        joined.bias = nn.Parameter(bias, requires_grad=False)
    return joined


def without_bias(weight: Tensor) -> nn.Linear:
    """Return the linear map of a weight (out, in) that is not copied."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
    return linear


def joined_bias(parts: Sequence[nn.Linear]) -> Tensor | None:
    """Return the maps' biases together (out,), None where they have none."""
    biases = [part.bias.detach() for part in parts if part.bias is not None]
    return torch.cat(biases) if biases else None

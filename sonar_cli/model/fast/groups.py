"""Find the linear maps of a model, group those with the same input, and replace them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonar_cli.model.files import forget_pages

# Number of weights below which PyTorch's own product is as fast: a call takes longer than the work.
SMALLEST = 2**16

# make(path in the model, maps with the same input) -> one module that computes all of them
Make = Callable[[str, Sequence[nn.Linear]], nn.Module]


@dataclass(frozen=True)
class Group:
    """Linear maps with the same input, which one module can compute.

    `maps` are the attributes `parts` of `module`. Their replacement is its attribute `name`, and
    `path` is the dotted path of that attribute in the model.
    """

    path: str
    module: nn.Module
    name: str
    parts: tuple[str, ...]
    maps: Sequence[nn.Linear]


def groups(model: nn.Module, smallest: int = SMALLEST) -> Iterator[Group]:
    """Yield the groups of a model's linear maps that have at least `smallest` weights.

    A module's class attribute JOINED names maps with the same input and their replacement, as in
    `{"qkv": ("q", "k", "v")}`. Every other map is a group of its own. A module's attribute `tied`
    is an embedding's weight that is also an output projection; its replacement is called `head`.
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
    """Replace each of the model's `groups` by the module that `make` returns, in place."""
    for group in groups(model, smallest):
        setattr(group.module, group.name, make(group.path, group.maps))
        for part in group.parts:
            if part != group.name:
                delattr(group.module, part)


def join(parts: Sequence[nn.Linear]) -> nn.Linear:
    """Join linear maps with the same input into one, with their outputs side by side."""
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
    """Return a linear map without bias on a weight (out, in), which is not copied."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(weight.detach(), requires_grad=False)
    return linear


def joined_bias(parts: Sequence[nn.Linear]) -> Tensor | None:
    """Return the maps' biases as one tensor (out,), or None if they have none."""
    biases = [part.bias.detach() for part in parts if part.bias is not None]
    return torch.cat(biases) if biases else None


def forget(weight: Tensor) -> None:
    """Free the memory of a weight (out, in) that is mapped from a file; see `forget_pages`."""
    # Not the first four rows: of an embedding, `formats.codec` may have reordered them in memory.
    forget_pages(weight[4:])

"""The linear maps of a model, those of one input together, and putting others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sonar_cli.model.files import forget_pages

# Smaller matrices stay in the processor's caches, where the order matters little.
SMALLEST = 2**20

# make(name in the model, maps of one input) -> the module that does all of them
Make = Callable[[str, Sequence[nn.Linear]], nn.Module]


@dataclass(frozen=True)
class Group:
    """Linear maps of one input: `module.name` takes the place of the module's `parts`."""

    path: str
    module: nn.Module
    name: str
    parts: tuple[str, ...]
    maps: Sequence[nn.Linear]


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


def forget(weight: Tensor) -> None:
    """Let go of the memory that a weight mapped from a file takes."""
    # The first four rows of an embedding may have been put into another order in memory alone.
    forget_pages(weight[4:])

"""Networks of the four systems with the same number of trainable parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from sonar_cli.errors import UsageError
from sonar_cli.training.recipe import Kind
from sonar_cli.training.tables import Model

# A feed-forward is as near to so many times the hidden width as the number of parameters lets it,
# and never beyond these bounds.
_FFN, _LEAST, _MOST = 2.5, 1.0, 5.0
_HEADS = 4
# Hidden widths that are tried: heads of an even size.
_WIDTHS = range(2 * _HEADS, 4_097, 2 * _HEADS)

# build(shape) -> a network of that shape; on the meta device it takes no memory.
Build = Callable[[Model], nn.Module]


def shaped(system: Kind, parameters: int, layers: int, build: Build) -> Model:
    """Return the shape in which a system has as good as `parameters` trainable parameters.

    All systems have `layers` layers in all; a two-tower LCM's are parted, the greater half to its
    denoiser. The feed-forward's width makes up for what the systems need at their ends: a
    token-level Llama embeds its vocabulary. The hidden width is the one at which the feed-forward
    comes nearest to 2.5 times as much. `build` makes a network of a shape.

    Raises UsageError where the number is too small for the system.
    """
    found: list[Model] = []
    for hidden in _WIDTHS:
        shape = _with_hidden(system, hidden, parameters, layers, build)
        if shape.ffn < _LEAST * hidden:
            break
        if shape.ffn <= _MOST * hidden:
            found.append(shape)
    if not found:
        raise UsageError(f"{parameters} parameters are too few for {system} of {layers} layers")
    return min(found, key=lambda shape: abs(shape.ffn / shape.hidden - _FFN))


def count(network: nn.Module) -> int:
    """Return the number of a network's trainable parameters."""
    return sum(each.numel() for each in network.parameters() if each.requires_grad)


def _with_hidden(system: Kind, hidden: int, parameters: int, layers: int, build: Build) -> Model:
    """Return the shape of a hidden width, whose feed-forward may be too narrow even for 1."""
    shape = Model(hidden=hidden, ffn=1, layers=layers, heads=_HEADS)
    if system == "lcm-diffusion":
        context = max(1, layers // 2)
        shape = replace(shape, layers=context, denoiser_layers=max(1, layers - context))
    with torch.device("meta"):
        least, more = count(build(shape)), count(build(replace(shape, ffn=2)))
    # The number of parameters is linear in the feed-forward's width.
    return replace(shape, ffn=1 + round((parameters - least) / (more - least)))

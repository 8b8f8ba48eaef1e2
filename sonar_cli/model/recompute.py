"""Activation checkpointing: a layer's inner values are computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def through(layer: Callable[..., Tensor], *inputs: Any, recompute: bool) -> Tensor:
    """Return the layer's output; with `recompute` only its inputs are kept for the backward pass.

    That costs a second forward pass of the layer and saves most of the memory. The result and
    the gradients are the same, dropout included.
    """
    if recompute and torch.is_grad_enabled():
        found: Tensor = checkpoint(layer, *inputs, use_reentrant=False)
        return found
    return layer(*inputs)


def set_recompute(modules: Iterable[nn.Module], on: bool) -> None:
    """Tell the modules, and those within, that know `recompute` to use it."""
    for module in modules:
        for each in module.modules():
            if hasattr(each, "recompute"):
                each.recompute = on  # type: ignore[assignment]

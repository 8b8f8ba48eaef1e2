"""A loss as a sum and what it is divided by, so that parts of a batch add up to the whole."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """The loss of some texts: `total / weight`.

    `total` is a scalar with gradients, a sum over what is averaged (tokens, say); `weight` is their
    number, and `tokens` how many tokens of text the loss was computed from, for the rate shown.

    >>> import torch
    >>> Loss(torch.tensor(6.0), weight=3, tokens=3).mean
    2.0
    """

    total: Tensor
    weight: float
    tokens: int = 0

    @property
    def mean(self) -> float:
        """The loss as a number."""
        return self.total.item() / self.weight

"""An exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class Average:
    """The moving average of parameters: `average = decay * average + (1 - decay) * parameter`.

    It begins with the parameters as they are, and with a smaller decay, `(1 + step) / (10 + step)`,
    so that it soon forgets them. A decay of 0 means that none is kept.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.decay = decay
        self._parameters = parameters
        self._averages = {name: each.detach().clone() for name, each in parameters.items()}
        if not decay:
            self._averages = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages towards the parameters after a step, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, average in self._averages.items():
            average.lerp_(self._parameters[name], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages in the parameters' place for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """Return the averages by the names of their parameters."""
        return self._averages

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over saved averages."""
        for name, average in self._averages.items():
            average.copy_(state[name])

    @torch.no_grad()
    def keep(self) -> None:
        """Put the averages in the parameters' place for good."""
        for name, average in self._averages.items():
            self._parameters[name].copy_(average)

    @torch.no_grad()
    def _swap(self) -> None:
        names: Sequence[str] = list(self._averages)
        for name in names:
            parameter, average = self._parameters[name], self._averages[name]
            held = parameter.clone()
            parameter.copy_(average)
            average.copy_(held)

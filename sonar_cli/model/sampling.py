"""Draw one of several candidates by their scores: tokens by logit, sentences by log-probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: at a temperature, of a nucleus, with random numbers a row.

    Rows of the same text share its generator; their draws then follow one another.
    """

    temperature: float
    top_p: float
    random: Sequence[torch.Generator]


def draw(scores: Tensor, top_p: float, random: torch.Generator, temperature: float = 1.0) -> int:
    """Draw an index from the softmax of scores (N,) at a temperature, limited to the nucleus.

    The nucleus is the smallest set of most likely indices with a probability of at least `top_p`
    (Holtzman et al. 2020, arXiv 1904.09751). Temperature 0 gives the index of the largest score.
    """
    if len(scores) == 1 or temperature == 0:
        return int(scores.argmax())
    shares, order = (scores.float().cpu() / temperature).softmax(0).sort(descending=True)
    before = shares.cumsum(0) - shares
    nucleus = torch.where(before < top_p, shares, 0.0)
    return int(order[int(nucleus.multinomial(1, generator=random))])


def generator(seed: int | None) -> torch.Generator:
    """Return a generator of random numbers, which without a seed are different every time."""
    # Always on the CPU, so that a seed gives the same numbers on every device.
    random = torch.Generator()
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    return random

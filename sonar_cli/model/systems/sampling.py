"""Drawing one of several by scores: a token by its logit, a sentence by its log-probability."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(scores: Tensor, top_p: float, random: torch.Generator, temperature: float = 1.0) -> int:
    """Draw an index of scores (N,) by their softmax at a temperature, within the nucleus.

    The nucleus is the fewest most likely indices that hold `top_p` of the probability (Holtzman et
    al. 2020, arXiv 1904.09751). At temperature 0 it is the index of the largest score.
    """
    if len(scores) == 1 or temperature == 0:
        return int(scores.argmax())
    shares, order = (scores.float().cpu() / temperature).softmax(0).sort(descending=True)
    before = shares.cumsum(0) - shares
    nucleus = torch.where(before < top_p, shares, 0.0)
    return int(order[int(nucleus.multinomial(1, generator=random))])


def generator(seed: int | None) -> torch.Generator:
    """Return a generator of random numbers; without a seed its numbers are new every time."""
    # On the CPU whatever the device, so that a seed does not depend on where the model runs.
    random = torch.Generator()
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)
    return random

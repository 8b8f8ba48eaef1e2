"""Diffusion for any network: the noise schedule, and deterministic sampling with guidance.

Times run from 0 (little noise) to T - 1 (only noise). `signal[t]` is the share of the clean
vector's variance that is left at time t (alpha bar in the papers):
`noisy = sqrt(signal) * clean + sqrt(1 - signal) * noise`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# denoise(noisy, time): takes noisy vectors (N, D) at one time, and returns the clean vectors (N, D)
# that a network predicts with the context, and those that it predicts without.
Denoise = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def cosine_signal(steps: int, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """Return the signal (steps,) float32 of the cosine schedule, which is 0 at the last time.

    The signal is `cos((t / T + s) / (1 + s) * pi / 2) ** 2`, where s is `offset`. No step removes
    more than the share `largest` of it (Nichol and Dhariwal 2021, arXiv 2102.09672). It is then
    rescaled so that nothing is left at the last time, and the first time does not change (Lin et
    al. 2023, arXiv 2305.08891).

    >>> signal = cosine_signal(100)
    >>> round(signal[0].item(), 4), signal[-1].item()
    (0.9994, 0.0)
    """
    times = torch.arange(steps + 1, dtype=torch.float64) / steps
    bar = torch.cos((times + offset) / (1 + offset) * math.pi / 2).square()
    kept = 1 - (1 - bar[1:] / bar[:-1]).clamp(max=largest)
    root = kept.cumprod(0).sqrt()
    root = (root - root[-1]) * root[0] / (root[0] - root[-1])
    return root.square().float()


def add_noise(clean: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Return clean vectors (..., D) with noise (..., D) added, at signals (...)."""
    signal = signal.unsqueeze(-1)
    return signal.sqrt() * clean + (1 - signal).sqrt() * noise


def noise_in(noisy: Tensor, clean: Tensor, signal: float) -> Tensor:
    """Return the noise (..., D) in noisy vectors, given the clean ones and a signal below 1."""
    return (noisy - math.sqrt(signal) * clean) / math.sqrt(1 - signal)


def clean_in(noisy: Tensor, noise: Tensor, signal: float) -> Tensor:
    """Return the clean vectors (..., D) of noisy ones, given the noise and a signal above 0."""
    return (noisy - math.sqrt(1 - signal) * noise) / math.sqrt(signal)


def guided(with_context: Tensor, without: Tensor, scale: float, rescale: float) -> Tensor:
    """Apply classifier-free guidance to the noise (N, D) predicted with and without the context.

    The guided noise is `without + scale * (with_context - without)`. Its share `rescale`, from 0 to
    1, is scaled to the standard deviation over D of `with_context` (Lin et al. 2023). With a scale
    of 1, the result is `with_context`.

    >>> with_, without = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 4.0]])
    >>> guided(with_, without, scale=2.0, rescale=0.0)
    tensor([[2., 2.]])
    """
    pushed = without + scale * (with_context - without)
    spread = pushed.std(dim=-1, keepdim=True).clamp(min=1e-12)
    matched = pushed * with_context.std(dim=-1, keepdim=True) / spread
    return rescale * matched + (1 - rescale) * pushed


def times(total: int, steps: int) -> list[int]:
    """Return the times of a sampling in about `steps` steps, the noisiest first.

    They are `total // steps` apart, so there can be more than `steps` of them. For 40 steps of 100,
    for example, Meta's code takes every second time, 50 in all.

    >>> times(10, 3)
    [9, 6, 3, 0]
    """
    return list(range(total - 1, -1, -max(1, total // steps)))


def sample(
    denoise: Denoise,
    noise: Tensor,
    signal: Tensor,
    steps: int,
    guidance: float = 1.0,
    rescale: float = 0.7,
) -> Tensor:
    """Turn noise (N, D) into clean vectors (N, D) by DDIM without added noise (arXiv 2010.02502).

    Each step predicts the clean vectors, computes the noise that they imply, applies `guided` to
    that noise, and combines both at the signal of the next time. Guidance divides by the root of
    the signal, so it is left out where that is 0, at the first step. Returns the clean vectors of
    the last step.
    """
    noisy = noise
    clean = noise
    path = times(len(signal), steps)
    levels = signal.tolist()
    for number, time in enumerate(path):
        level = levels[time]
        with_context, without = denoise(noisy, time)
        clean, pushed = with_context, noise_in(noisy, with_context, level)
        if level > 0 and guidance != 1:
            pushed = guided(pushed, noise_in(noisy, without, level), guidance, rescale)
            clean = clean_in(noisy, pushed, level)
        following = levels[path[number + 1]] if number + 1 < len(path) else 1.0
        noisy = math.sqrt(following) * clean + math.sqrt(1 - following) * pushed
    return clean

"""Diffusion: the noise schedule, and deterministic sampling with guidance. Knows no network.

Time counts from 0, little noise, to T - 1, noise alone. `signal[t]` is the share of the clean
vector's variance that is left at time t (alpha bar in the papers):
`noisy = sqrt(signal) * clean + sqrt(1 - signal) * noise`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# denoise(noisy, time): noisy vectors (N, D) at one time -> the clean vectors (N, D) that a network
# predicts, with the context and without it.
Denoise = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def cosine_signal(steps: int, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """Return the cosine schedule's signal (steps,) float32, with none left at the last time.

    `cos((t / T + s) / (1 + s) * pi / 2) ** 2` as a product of steps of which none takes more than
    `largest` away (Nichol and Dhariwal 2021, arXiv 2102.09672), rescaled so that the last time is
    noise alone and the first stays as it is (Lin et al. 2023, arXiv 2305.08891).

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
    """Clean vectors and noise (..., D) at a signal (...) each -> noisy vectors (..., D)."""
    signal = signal.unsqueeze(-1)
    return signal.sqrt() * clean + (1 - signal).sqrt() * noise


def noise_in(noisy: Tensor, clean: Tensor, signal: float) -> Tensor:
    """Return the noise (..., D) that leads from clean vectors to noisy ones at a signal below 1."""
    return (noisy - math.sqrt(signal) * clean) / math.sqrt(1 - signal)


def clean_in(noisy: Tensor, noise: Tensor, signal: float) -> Tensor:
    """Return the clean vectors (..., D) of noisy ones and their noise, at a signal above 0."""
    return (noisy - math.sqrt(1 - signal) * noise) / math.sqrt(signal)


def guided(with_context: Tensor, without: Tensor, scale: float, rescale: float) -> Tensor:
    """Push the noise predicted with the context (N, D) away from that predicted without it.

    `without + scale * (with - without)`; its standard deviation over D is then moved by the share
    `rescale` to that of the prediction with the context (Lin et al. 2023). Scale 1 changes nothing,
    0 leaves the context out.

    >>> with_, without = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 4.0]])
    >>> guided(with_, without, scale=2.0, rescale=0.0)
    tensor([[2., 2.]])
    """
    pushed = without + scale * (with_context - without)
    spread = pushed.std(dim=-1, keepdim=True).clamp(min=1e-12)
    matched = pushed * with_context.std(dim=-1, keepdim=True) / spread
    return rescale * matched + (1 - rescale) * pushed


def times(total: int, steps: int) -> list[int]:
    """Return the times of a sampling in `steps` steps, from the noisiest down.

    They are `total // steps` apart, so that there can be more of them than asked for: Meta's code,
    asked for 40 steps of 100, takes every second time, 50 in all.

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
    """Turn noise (N, D) into clean vectors (N, D): DDIM without fresh noise (arXiv 2010.02502).

    Each step predicts the clean vectors, computes the noise that this implies, lets the guidance
    act on the noise, and goes to the next time with both. At the noisiest time there is no signal
    for the guidance to act on, so it acts from the second step on. The result is the clean vectors
    of the last step.
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

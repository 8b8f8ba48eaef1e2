"""The scaler, the schedule and the sampler against reference values, and the two LCMs on them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.systems.diffusion import (
    add_noise,
    clean_in,
    cosine_signal,
    guided,
    noise_in,
    sample,
    times,
)
from sonar_cli.model.systems.scaler import NORMAL_IQR, RobustScaler

# the scaler


def test_the_scaler_on_a_known_sample() -> None:
    """Quartiles 1, 2, 3 and 25, 40, 55, whatever the outlier; the last dimension is constant."""
    sample = torch.tensor(
        [[0.0, 10.0, 7.0], [1.0, 25.0, 7.0], [2.0, 40.0, 7.0], [3.0, 55.0, 7.0], [1e6, 70.0, 7.0]]
    )
    scaler = RobustScaler(3).fit(sample)
    torch.testing.assert_close(scaler.center, torch.tensor([2.0, 40.0, 7.0]))
    expected = torch.tensor([2 / NORMAL_IQR, 30 / NORMAL_IQR, 1.0])
    torch.testing.assert_close(scaler.scale, expected)
    normal = scaler.normalize(sample)
    torch.testing.assert_close(normal[1], torch.tensor([-NORMAL_IQR / 2] * 2 + [0.0]))
    torch.testing.assert_close(scaler.denormalize(normal), sample)


def test_a_normal_sample_gets_the_deviation_one() -> None:
    vectors = 3 + 0.006 * torch.randn(50_000, 4)
    normal = RobustScaler(4).fit(vectors).normalize(vectors)
    torch.testing.assert_close(normal.std(0), torch.ones(4), atol=0.02, rtol=0)
    torch.testing.assert_close(normal.mean(0), torch.zeros(4), atol=0.02, rtol=0)


# the schedule


def _cosine(t: float) -> float:
    return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2


def test_the_schedule_at_five_times() -> None:
    """Computed here from the formulas, step by step in Python."""
    kept, bars = 1.0, []
    for step in range(100):
        kept *= 1 - min(1 - _cosine((step + 1) / 100) / _cosine(step / 100), 0.999)
        bars.append(kept)
    first, last = math.sqrt(bars[0]), math.sqrt(bars[-1])
    expected = [((math.sqrt(bar) - last) * first / (first - last)) ** 2 for bar in bars]
    signal = cosine_signal(100)
    for time in (0, 24, 49, 74, 99):
        assert float(signal[time]) == pytest.approx(expected[time], abs=1e-6), time
    # What Meta's DDIMScheduler has at these times, with its settings for the two-tower LCM.
    meta = [0.9994, 0.8469, 0.4936, 0.1440, 0.0]
    assert [float(signal[t]) for t in (0, 24, 49, 74, 99)] == pytest.approx(meta, abs=5e-5)
    assert (signal.diff() < 0).all()


def test_times_are_as_far_apart_as_metas() -> None:
    assert times(100, 100) == list(range(99, -1, -1))
    # Asked for 40 of 100, Meta's code takes every second time.
    assert times(100, 40) == list(range(99, 0, -2)) and len(times(100, 40)) == 50
    assert times(100, 10) == [99, 89, 79, 69, 59, 49, 39, 29, 19, 9]
    assert times(4, 9) == [3, 2, 1, 0]


# the sampler


def test_noise_and_clean_come_apart_again() -> None:
    clean, noise = torch.randn(5, 8), torch.randn(5, 8)
    signal = torch.tensor([0.9, 0.5, 0.1, 0.99, 0.3])
    noisy = add_noise(clean, noise, signal)
    for row, level in enumerate(signal.tolist()):
        torch.testing.assert_close(noise_in(noisy[row], clean[row], level), noise[row])
        torch.testing.assert_close(clean_in(noisy[row], noise[row], level), clean[row])


def test_one_step_by_hand() -> None:
    """At signal 0.25 a vector 1.0 whose clean one is 0.5 goes to signal 0.64."""
    signal = torch.tensor([0.64, 0.25])
    seen: list[tuple[float, int]] = []

    def denoise(noisy: Tensor, time: int) -> tuple[Tensor, Tensor]:
        seen.append((float(noisy), time))
        return torch.tensor([[0.5]]), torch.tensor([[0.5]])

    found = sample(denoise, torch.tensor([[1.0]]), signal, steps=2)
    noise = (1.0 - 0.5 * 0.5) / math.sqrt(0.75)
    assert [time for _, time in seen] == [1, 0]
    assert seen[1][0] == pytest.approx(0.8 * 0.5 + 0.6 * noise, abs=1e-6)
    assert float(found) == 0.5


def test_guidance_at_scale_zero_and_one() -> None:
    with_context, without = torch.randn(3, 16), 2 * torch.randn(3, 16)
    torch.testing.assert_close(guided(with_context, without, 1.0, 0.7), with_context)
    torch.testing.assert_close(guided(with_context, without, 1.0, 0.0), with_context)
    torch.testing.assert_close(guided(with_context, without, 0.0, 0.0), without)
    pushed = guided(with_context, without, 3.0, 0.0)
    torch.testing.assert_close(pushed, 3 * with_context - 2 * without)


def test_rescaled_guidance_has_the_deviation_of_the_context() -> None:
    with_context, without = torch.randn(3, 16), torch.randn(3, 16)
    pushed = guided(with_context, without, 3.0, 1.0)
    torch.testing.assert_close(pushed.std(-1), with_context.std(-1))
    halfway = guided(with_context, without, 3.0, 0.7)
    plain = guided(with_context, without, 3.0, 0.0)
    torch.testing.assert_close(halfway, 0.7 * pushed + 0.3 * plain)


# Two components as far from their mean as from nothing, of unequal weight.
MEANS = torch.tensor([[2.0, -1.0, 0.5, 3.0], [-2.0, 1.0, 1.5, -1.0]])
WEIGHTS = torch.tensor([0.7, 0.3])
SPREAD = 0.1


def _mixture(signal: Tensor, noisy: Tensor, time: int) -> Tensor:
    """E[clean | noisy] of the Gaussian mixture, in closed form."""
    level = float(signal[time])
    variance = level * SPREAD**2 + 1 - level
    distances = torch.cdist(noisy, math.sqrt(level) * MEANS).square()
    shares = (WEIGHTS.log() - distances / (2 * variance)).softmax(1)
    toward = math.sqrt(level) * SPREAD**2 / variance
    each = MEANS + toward * (noisy[:, None] - math.sqrt(level) * MEANS)
    return (shares[:, :, None] * each).sum(1)


@pytest.mark.parametrize("steps", [40, 100])
def test_the_sampler_recovers_a_mixture_where_its_mean_would_be_wrong(steps: int) -> None:
    signal = cosine_signal(100)

    def denoise(noisy: Tensor, time: int) -> tuple[Tensor, Tensor]:
        found = _mixture(signal, noisy, time)
        return found, found

    found = sample(denoise, torch.randn(4000, 4), signal, steps)
    distances = torch.cdist(found, MEANS)
    assert (distances.amin(1) < 8 * SPREAD).float().mean() > 0.98
    share = (distances.argmin(1) == 0).float().mean()
    assert float(share) == pytest.approx(0.7, abs=0.05)
    own = found[distances.argmin(1) == 0]
    torch.testing.assert_close(own.mean(0), MEANS[0], atol=0.05, rtol=0)
    assert 0.3 * SPREAD < float((own - own.mean(0)).std()) < 2 * SPREAD
    mean = (WEIGHTS[:, None] * MEANS).sum(0)
    assert torch.cdist(mean[None], MEANS).min() > 10 * SPREAD, "the mean is far from both"


def test_guidance_leads_to_what_the_context_makes_likelier() -> None:
    """With the context the second component is certain, without it both are."""
    signal = cosine_signal(100)

    def denoise(noisy: Tensor, time: int) -> tuple[Tensor, Tensor]:
        level = float(signal[time])
        variance = level * SPREAD**2 + 1 - level
        toward = math.sqrt(level) * SPREAD**2 / variance
        only = MEANS[1] + toward * (noisy - math.sqrt(level) * MEANS[1])
        return only, _mixture(signal, noisy, time)

    found = sample(denoise, torch.randn(500, 4), signal, 40, guidance=1.0)
    assert F.pairwise_distance(found, MEANS[1].expand_as(found)).max() < 8 * SPREAD
    alone = sample(denoise, torch.randn(500, 4), signal, 40, guidance=0.0, rescale=0.0)
    share = (torch.cdist(alone, MEANS).argmin(1) == 0).float().mean()
    assert float(share) == pytest.approx(0.7, abs=0.12)

"""The curve of loss by size, held to curves that are known."""

from __future__ import annotations

import numpy as np
import pytest

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.scaling import Fit, fit

SIZES = [10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8]
A, ALPHA, B = 300.0, 0.4, 1.5


def _points(noise: float, seeds: int, seed: int = 0) -> dict[int, list[float]]:
    random = np.random.default_rng(seed)
    return {n: (A * n**-ALPHA + B + noise * random.standard_normal(seeds)).tolist() for n in SIZES}


@pytest.mark.parametrize(
    ("a", "alpha", "b"), [(2.09e3, 0.569, 1.73), (4.06e5, 0.791, 1.24), (40.0, 0.2, 0.0)]
)
def test_exact_points_give_the_curve_back(a: float, alpha: float, b: float) -> None:
    found = fit({n: [a * n**-alpha + b] for n in SIZES})
    assert (found.a, found.alpha) == (pytest.approx(a, rel=1e-3), pytest.approx(alpha, abs=1e-4))
    assert found.b == pytest.approx(b, abs=1e-4) and found.r2 == pytest.approx(1)
    assert found.at(5e6) == pytest.approx(a * 5e6**-alpha + b, rel=1e-5)
    assert found.intervals == {}


def _covers(found: Fit) -> list[bool]:
    truth = {"a": A, "alpha": ALPHA, "b": B}
    return [low <= truth[name] <= high for name, (low, high) in found.intervals.items()]


def test_noisy_points_have_the_truth_in_the_interval() -> None:
    hits = [_covers(fit(_points(0.02, 6, seed), 200)) for seed in range(10)]
    assert all(len(each) == 3 for each in hits)
    assert np.mean(hits) >= 0.8
    found = fit(_points(0.02, 6))
    for name in ("a", "alpha", "b"):
        low, high = found.intervals[name]
        assert low < getattr(found, name) < high
    assert found.r2 > 0.95 and found.notes == ()
    assert found == fit(_points(0.02, 6))


def test_more_noise_makes_wider_intervals() -> None:
    narrow, wide = (fit(_points(noise, 6), 200).intervals["b"] for noise in (0.002, 0.02))
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


def test_what_the_points_cannot_tell_is_said() -> None:
    three = fit({n: _points(0.0, 2)[n] for n in SIZES[:3]})
    assert "3 sizes cannot tell" in three.notes[0]
    assert "one seed" in fit({n: each[:1] for n, each in _points(0.0, 1).items()}).notes[0]
    # Sizes so near each other that the loss hardly falls between them.
    near = {n: [3 - 0.01 * i + e for e in (-0.004, 0.0, 0.004)]
            for i, n in enumerate((1000, 1100, 1200, 1300))}  # fmt: skip
    assert any("these sizes do not tell it" in note for note in fit(near, 200).notes)
    rising = fit({n: [1.0 + i] for i, n in enumerate(SIZES)})
    assert rising.a == 0 and rising.b == pytest.approx(3)
    assert any("does not fall" in note for note in rising.notes)
    # A loss that falls ever faster leaves no room for a b of 0 or more.
    falling = fit({n: [10 - 2 * i] for i, n in enumerate(SIZES)})
    assert falling.b == 0 and any("at its bound" in note for note in falling.notes)


def test_every_loss_counts_alike() -> None:
    """No other curve nearby is closer to the losses, of which some sizes have more than others."""
    points = {n: [A * n**-ALPHA + B + 0.05 * ((7 * k + i) % 5 - 2) for k in range(1 + i)]
              for i, n in enumerate(SIZES)}  # fmt: skip
    found = fit(points, 10)

    def error(a: float, alpha: float, b: float) -> float:
        return sum((a * n**-alpha + b - each) ** 2 for n, of in points.items() for each in of)

    best = error(found.a, found.alpha, found.b)
    for scale in (0.99, 1.01):
        assert best < error(scale * found.a, found.alpha, found.b)
        assert best < error(found.a, scale * found.alpha, found.b)
        assert best < error(found.a, found.alpha, scale * found.b)


def test_points_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="needs 3 sizes at least, not 2"):
        fit({1: [1.0], 2: [0.9]})
    for losses in ([], [0.0], [float("nan")], [1.0, float("inf")]):
        with pytest.raises(UsageError, match="size 3 has the losses"):
            fit({1: [2.0], 2: [1.5], 3: losses})

"""How a loss falls with a model's size: the curve `loss = a N**-alpha + b`, and how sure it is.

N is the number of trainable parameters, b what no size gets below. The authors fit this curve to
each system (arXiv 2508.05305, section "Scaling laws").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonar_cli.errors import UsageError

# Exponents that are searched: the ends, how many at a time, how often around the best one.
_LEAST, _LARGEST = 0.01, 4.0
_EXPONENTS, _ZOOMS = 161, 6
# Percentiles of a confidence interval of 95 %.
_INTERVAL = (2.5, 97.5)
# The sizes that a curve of three parameters needs at least, and to be put to the test.
_FEWEST, _ENOUGH = 3, 4

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Fit:
    """The curve `loss = a * N ** -alpha + b` of least squares.

    `r2` is the share of the variance of the sizes' mean losses that it explains. `intervals` has
    for "a", "alpha" and "b" the 95 % confidence interval over seeds; it is empty where no size has
    two seeds. `notes` say in sentences what the points cannot tell.
    """

    a: float
    alpha: float
    b: float
    r2: float
    intervals: Mapping[str, Interval]
    notes: tuple[str, ...]

    def at(self, size: float) -> float:
        """Return the loss that the curve has at a size."""
        return float(self.a * size**-self.alpha + self.b)


def fit(points: Mapping[int, Sequence[float]], resamples: int = 1_000, seed: int = 0) -> Fit:
    """Fit the curve to points: sizes N with their losses by seed.

    Each loss counts alike. For an exponent alpha, a and b follow by linear least squares, both at
    least 0, as no loss is negative; alpha is searched from 0.01 to 4. A confidence interval is
    that of fits to the same sizes with seeds drawn anew, with replacement and for each size by
    itself (percentiles 2.5 and 97.5). Few seeds make it too narrow: of two seeds a quarter of the
    draws has the first one twice. Raises UsageError for fewer than three sizes, and for a size or
    loss that is not positive and finite.

    >>> exact = {n: [2000 * n**-0.5 + 1.7] for n in (10**6, 10**7, 10**8, 10**9)}
    >>> found = fit(exact)
    >>> round(found.a), round(found.alpha, 4), round(found.b, 4), round(found.r2, 6)
    (2000, 0.5, 1.7, 1.0)
    >>> found.notes
    ('Every size has one seed: nothing tells how far another seed would move the curve.',)
    >>> round(found.at(4 * 10**6), 4)
    2.7
    """
    _check(points)
    sizes = np.array(sorted(points), np.float64)
    losses = [np.asarray(points[size], np.float64) for size in sorted(points)]
    counts = np.array([len(each) for each in losses], np.float64)
    means = np.array([each.mean() for each in losses])
    a, alpha, b = curves(sizes, means[None], counts)[0].tolist()
    intervals: dict[str, Interval] = {}
    if counts.max() > 1:
        random = np.random.default_rng(seed)
        drawn = np.stack(
            [random.choice(each, (resamples, len(each))).mean(1) for each in losses], 1
        )
        low, high = np.percentile(curves(sizes, drawn, counts), _INTERVAL, axis=0).tolist()
        intervals = dict(zip(("a", "alpha", "b"), zip(low, high, strict=True), strict=True))
    left = float(((a * sizes**-alpha + b - means) ** 2).sum())
    spread = float(((means - means.mean()) ** 2).sum())
    r2 = 1 - left / spread if spread else 1.0
    return Fit(a, alpha, b, r2, intervals, tuple(_notes(means, counts, a, alpha, b, intervals)))


def curves(sizes: Floats, losses: Floats, counts: Floats) -> Floats:
    """Return a, alpha and b (R, 3) for R rows of losses (R, P) at sizes (P,), all at once.

    `counts` (P,) are the weights of the sizes. Around the best exponent of a grid a finer one is
    laid, again and again.
    """
    middle = np.exp(np.log(sizes).mean())  # so that the numbers are near 1
    rows = len(losses)
    low, high = np.full(rows, np.log(_LEAST)), np.full(rows, np.log(_LARGEST))
    steps = np.linspace(0, 1, _EXPONENTS)
    for _ in range(_ZOOMS):
        grid = low[:, None] + (high - low)[:, None] * steps  # (R, G)
        powers = (sizes / middle) ** -np.exp(grid)[:, :, None]  # (R, G, P)
        a, b, errors = _lines(powers, losses[:, None], counts)
        best = errors.argmin(1)[:, None]
        width = (high - low) / (_EXPONENTS - 1)
        logarithm, a, b = (np.take_along_axis(each, best, 1)[:, 0] for each in (grid, a, b))
        low = np.maximum(logarithm - width, np.log(_LEAST))
        high = np.minimum(logarithm + width, np.log(_LARGEST))
    alpha = np.exp(logarithm)
    return np.stack([a * middle**alpha, alpha, b], 1)


def _lines(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a, b and the squared error of `a x + b` for y, along the last axis; a and b >= 0.

    Where the best line is outside, the best one with a = 0 or with b = 0 is taken.
    """
    share = weights / weights.sum()
    mean_x, mean_y = (x * share).sum(-1), (y * share).sum(-1)
    off_x, off_y = x - mean_x[..., None], y - mean_y[..., None]
    slope = (off_x * off_y * share).sum(-1) / (off_x**2 * share).sum(-1)
    through = (x * y * share).sum(-1) / (x**2 * share).sum(-1)
    cut = mean_y - slope * mean_x
    a = np.where(slope < 0, 0.0, np.where(cut < 0, through, slope))
    b = np.where(slope < 0, mean_y, np.where(cut < 0, 0.0, cut))
    errors = ((a[..., None] * x + b[..., None] - y) ** 2 * share).sum(-1)
    return a, b, errors


def _check(points: Mapping[int, Sequence[float]]) -> None:
    if len(points) < _FEWEST:
        raise UsageError(
            f"a curve of three parameters needs {_FEWEST} sizes at least, not {len(points)}"
        )
    for size, losses in points.items():
        if size <= 0 or not len(losses) or not all(0 < each < np.inf for each in losses):
            raise UsageError(f"size {size} has the losses {list(losses)}: not positive and finite")


def _notes(
    means: Floats,
    counts: Floats,
    a: float,
    alpha: float,
    b: float,
    intervals: Mapping[str, Interval],
) -> list[str]:
    """Say what the points cannot tell."""
    notes: list[str] = []
    if len(means) < _ENOUGH:
        notes.append(
            f"{len(means)} sizes cannot tell whether the loss follows such a curve: "
            "three parameters fit any three points."
        )
    if counts.max() == 1:
        notes.append(
            "Every size has one seed: nothing tells how far another seed would move the curve."
        )
    if a == 0:
        notes.append("The loss does not fall with size, so there is no exponent.")
    elif alpha < 1.01 * _LEAST or alpha > 0.99 * _LARGEST:
        notes.append(f"The best exponent is at an end of the search ({alpha:.2f}): not a finding.")
    if b == 0:
        notes.append("b is at its bound, 0: the sizes do not show a loss that no size gets below.")
    low, high = intervals.get("b", (b, b))
    if high - low > (means.max() - means.min()) / 2:
        notes.append(
            f"b is anywhere from {low:.3g} to {high:.3g}, more than half of the fall from the "
            "worst size to the best: these sizes do not tell it."
        )
    return notes

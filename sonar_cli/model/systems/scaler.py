"""Normalize sentence vectors, dimension by dimension, as the Large Concept Models do."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# The inter-quartile range of a normal distribution with standard deviation 1.
NORMAL_IQR = 1.3489795003921634


class RobustScaler(nn.Module):
    """Subtracts the median and divides by the normalized inter-quartile range.

    `center` and `scale` are (D,). `scale` is the inter-quartile range divided by 1.349, so that a
    normally distributed dimension gets the standard deviation 1. Quartiles are used because
    sentence vectors have long tails. A dimension whose quartiles are equal is only centered.
    Source: Large Concept Models, arXiv 2412.08821, and Meta's SonarNormalizer ("gaussian_robust").

    >>> scaler = RobustScaler(1).fit(torch.tensor([[0.0], [1.0], [2.0], [3.0], [100.0]]))
    >>> scaler.center.item(), round(scaler.scale.item(), 4)
    (2.0, 1.4826)
    >>> scaler.normalize(torch.tensor([2.0])).item()
    0.0
    """

    center: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def fit(self, vectors: Tensor) -> RobustScaler:
        """Set center and scale from a sample of vectors (N, D); return the scaler itself."""
        # One dimension at a time: torch.quantile takes at most 16 million numbers at once.
        shares = torch.tensor([0.25, 0.5, 0.75])
        quartiles = torch.stack([column.quantile(shares) for column in vectors.float().cpu().T])
        spread = (quartiles[:, 2] - quartiles[:, 0]) / NORMAL_IQR
        self.center.copy_(quartiles[:, 1])
        self.scale.copy_(torch.where(spread > 0, spread, 1.0))
        return self

    def normalize(self, vectors: Tensor) -> Tensor:
        """Return the normalized vectors (..., D) of vectors (..., D)."""
        return (vectors - self.center) / self.scale

    def denormalize(self, normalized: Tensor) -> Tensor:
        """Return the vectors (..., D) of normalized vectors (..., D)."""
        return normalized * self.scale + self.center

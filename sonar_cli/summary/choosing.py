"""Choosing few sentences of many: greedy, by marginal relevance (Carbonell and Goldstein 1998)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.summary.vectors import Vectors

# Candidates whose redundancy is computed together.
_POOL = 4_096


@torch.inference_mode()
def choose(
    vectors: Vectors, salience: Tensor, count: int, taken: Sequence[int] = (), pool: int = _POOL
) -> list[int]:
    """Choose `count` rows (or all there are), best first: salient, and unlike those before.

    The next is always the one with the greatest salience times (1 - its greatest cosine to one
    that is chosen or `taken`). Scores only fall, so a pool of those with the greatest last known
    scores holds the best, until that falls below what is known of the rest; then the pool is
    filled anew. The choice is that of looking at all of them every time.

    >>> vectors = Vectors.of(torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]]))
    >>> choose(vectors, torch.tensor([1.0, 0.9, 0.5]), 2)
    [0, 2]
    """
    bound = salience.clone()
    bound[list(taken)] = -1
    count = min(count, len(bound) - len(set(taken)))
    known = [F.normalize(vectors.take(taken), dim=1)]
    chosen: list[int] = []
    while len(chosen) < count:
        top = bound.topk(min(pool + 1, len(bound)))
        rows = top.indices[:pool]
        outside = float(top.values[pool]) if len(bound) > pool else -1.0
        near = F.normalize(vectors.take(rows.tolist()), dim=1)
        score = torch.minimum(bound[rows], salience[rows] * (1 - _redundancy(near, known)))
        while len(chosen) < count and float(score.max()) >= outside:
            best = int(score.argmax())
            chosen.append(int(rows[best]))
            known.append(near[best : best + 1])
            again = 1 - (near @ near[best]).clamp(0, 1)
            score = torch.minimum(score, salience[rows] * again)
            score[best] = -1
        bound[rows] = score
    return chosen


def _redundancy(near: Tensor, known: list[Tensor]) -> Tensor:
    """Vectors (P, D) and chosen ones (1, D) each -> greatest cosine to one of them (P,), or 0."""
    greatest = torch.zeros(len(near))
    for piece in torch.cat(known).split(_POOL):
        if len(piece):
            greatest = torch.maximum(greatest, (near @ piece.T).amax(1))
    return greatest.clamp(0, 1)

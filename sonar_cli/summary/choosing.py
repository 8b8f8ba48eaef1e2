"""Choose the sentences of a summary one by one, by their maximal marginal relevance.

Source: Carbonell and Goldstein, SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.summary.vectors import Vectors

# Number of candidates whose redundancy is computed together.
_POOL = 4_096


@torch.inference_mode()
def choose(
    vectors: Vectors, salience: Tensor, count: int, taken: Sequence[int] = (), pool: int = _POOL
) -> list[int]:
    """Choose `count` rows of vectors (N, D), or all there are; return them best first.

    Each step chooses the candidate with the greatest score, `salience * sqrt(1 - redundancy)`.
    Salience is (N,) float32, at least 0; ValueError is raised for NaN, of which no score is the
    greatest. Redundancy is the greatest cosine to a row that was chosen before or is in `taken`, at
    least 0.

    A score can only fall while rows are chosen, so the last computed score of a candidate is an
    upper bound. Only a pool of the `pool` candidates with the greatest bounds is rescored, as long
    as its best score is not below the bounds outside; then a new pool is formed. The choice is the
    same as if all candidates were rescored in each step.

    >>> vectors = Vectors.of(torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]]))
    >>> choose(vectors, torch.tensor([1.0, 0.9, 0.5]), 2)
    [0, 2]
    """
    if not bool(salience.isfinite().all()):
        raise ValueError("the salience of a sentence is no number")
    bound = salience.clone()
    bound[list(taken)] = -1
    count = min(count, len(bound) - len(set(taken)))
    used = [F.normalize(vectors.take(taken), dim=1)]
    chosen: list[int] = []
    while len(chosen) < count:
        top = bound.topk(min(pool + 1, len(bound)))
        rows = top.indices[:pool]
        outside = float(top.values[pool]) if len(bound) > pool else -1.0
        candidates = F.normalize(vectors.take(rows.tolist()), dim=1)  # (P, D)
        novelty = (1 - _redundancy(candidates, used)).sqrt()
        score = torch.minimum(bound[rows], salience[rows] * novelty)
        while len(chosen) < count and float(score.max()) >= outside:
            best = int(score.argmax())
            chosen.append(int(rows[best]))
            used.append(candidates[best : best + 1])
            novelty = (1 - (candidates @ candidates[best]).clamp(0, 1)).sqrt()
            score = torch.minimum(score, salience[rows] * novelty)
            score[best] = -1
        bound[rows] = score
    return chosen


def _redundancy(candidates: Tensor, used: list[Tensor]) -> Tensor:
    """Return the greatest cosine (P,) of candidates (P, D) to used vectors (n, D), at least 0."""
    greatest = torch.zeros(len(candidates))
    for piece in torch.cat(used).split(_POOL):
        if len(piece):
            greatest = torch.maximum(greatest, (candidates @ piece.T).amax(1))
    return greatest.clamp(0, 1)

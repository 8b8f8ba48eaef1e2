"""Salience, nearest neighbours and support of sentences, computed from their vectors.

Salience is LexRank's degree centrality (Erkan and Radev 2004, arXiv 1109.2128) on cosines without a
threshold. The mean cosine to all sentences is proportional to the cosine to the mean of their
normalized vectors, so no N x N matrix is needed. Vectors are read in chunks (`Vectors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.summary.vectors import CHUNK, Vectors

# A summary is limited in sentences, so longer ones score higher: by this power of their length. The
# cap, in mean lengths of the text, is there because still longer ones are mostly run-on sentences.
_LENGTH_POWER = 1.6
_LENGTH_CAP = 2.0
# Cosines to a mean differ little, so they count by this power. The share by which the last sentence
# of a text scores lower than the first is for its position. With the power of the length they were
# chosen on real documents and on training stories of the embedded model, to serve both.
_CENTRAL_POWER = 1.25
_POSITION_DROP = 0.3
# Singular values below this share of the largest count as zero.
_RANK_TOLERANCE = 1e-4


@torch.inference_mode()
def salience(vectors: Vectors, lengths: Sequence[int]) -> Tensor:
    """Return how well each of N sentences represents the text: (N,) float32, at least 0.

    Salience is the product of three factors: the cosine to the mean of the normalized vectors,
    weighted by length, to the power of 1.25; the length relative to the longest, to the power of
    1.6; and a factor for the position, which falls linearly from 1 at the first sentence to 0.7 at
    the last. `lengths` (N,) are those of `length_of`; above twice their mean they count as twice
    the mean.

    >>> vectors = Vectors.of(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]))
    >>> salience(vectors, [9, 9, 9]).argmax().item()
    1
    """
    length = torch.tensor(lengths, dtype=torch.float32).clamp_min(1)
    length = length.clamp_max(_LENGTH_CAP * float(length.mean()))
    parts = length.split(CHUNK)
    mean = torch.zeros(vectors.width)
    for chunk, weight in zip(vectors.chunks(), parts, strict=True):
        mean += weight @ F.normalize(chunk, dim=1)
    mean = F.normalize(mean, dim=0)
    central = torch.cat([F.normalize(chunk, dim=1) @ mean for chunk in vectors.chunks()])
    position = torch.linspace(1, 1 - _POSITION_DROP, len(length))
    central = central.clamp_min(0) ** _CENTRAL_POWER
    return central * (length / length.max()) ** _LENGTH_POWER * position


def length_of(text: str) -> int:
    """Return the number of letters and digits, a length that needs no division into words.

    >>> length_of('"Look!" said Tom.'), length_of("大家好。")
    (11, 3)
    """
    return sum(map(str.isalnum, text))


@torch.inference_mode()
def nearest(vectors: Vectors, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the cosines (Q, k) and rows (Q, k) of the `count` vectors nearest to queries (Q, D).

    k is the smaller of `count` and N. The nearest vector comes first.
    """
    queries = F.normalize(queries, dim=1)
    found = torch.empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64)
    start = 0
    for chunk in vectors.chunks():
        cosines = queries @ F.normalize(chunk, dim=1).T
        here = torch.arange(start, start + len(chunk)).expand(len(queries), -1)
        found, rows = torch.cat([found, cosines], 1), torch.cat([rows, here], 1)
        found, order = found.topk(min(count, found.shape[1]))
        rows = rows.gather(1, order)
        start += len(chunk)
    return found, rows


@torch.inference_mode()
def support(vector: Tensor, sources: Tensor) -> float:
    """Return the cosine of a vector (D,) to its projection onto the span of sources (k, D).

    It is from 0 to 1. The span is used because a sentence may combine what several sources say.

    >>> sources = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> round(support(torch.tensor([1.0, 1.0, 0.0]), sources), 4)
    1.0
    >>> round(support(torch.tensor([1.0, 0.0, 1.0]), sources), 4)
    0.7071
    """
    # directions (D, k), singular values (k,); sources with equal vectors span only one direction
    directions, singular, _ = torch.linalg.svd(F.normalize(sources, dim=1).T, full_matrices=False)
    directions = directions[:, singular > _RANK_TOLERANCE * singular.max()]
    return float((F.normalize(vector, dim=0) @ directions).norm())


def parts(paragraphs: Sequence[int], longest: int) -> list[range]:
    """Cut a text of N sentences into parts of at most `longest`, between paragraphs if possible.

    `paragraphs` (N,) are the numbers of the sentences' paragraphs. A paragraph that is too long is
    cut into pieces of about equal size.

    >>> parts([0, 0, 1, 1, 1, 2], 3)
    [range(0, 2), range(2, 5), range(5, 6)]
    """
    changes = [i for i in range(1, len(paragraphs)) if paragraphs[i] != paragraphs[i - 1]]
    pieces = []
    for start, end in pairwise([0, *changes, len(paragraphs)]):
        count = -(-(end - start) // longest)
        edges = [start + (end - start) * i // count for i in range(count + 1)] if count else []
        pieces += list(pairwise(edges))
    found: list[range] = []
    for start, end in pieces:
        if found and end - found[-1].start <= longest:
            found[-1] = range(found[-1].start, end)
        else:
            found.append(range(start, end))
    return found

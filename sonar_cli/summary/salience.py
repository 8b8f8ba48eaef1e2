"""Which sentences stand for a text: by their vectors, as pure functions of them.

Salience is LexRank's degree centrality (Erkan and Radev 2004, arXiv 1109.2128) on the cosine, no
threshold: the mean cosine to all sentences is the cosine to their mean, so no n x n matrix is
needed however long the text is. Vectors come as `Vectors`, read in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.summary.vectors import CHUNK, Vectors

# A summary counts sentences, so one that says more is worth more, up to twice the text's mean
# length; then it is rather a run-on. Both chosen on training stories of the embedded model.
_LENGTH_POWER = 1.5
_LONGEST = 2.0
# The text's last sentence weighs so much less than its first.
_FALL = 0.1
# Singular values below this share of the largest count as zero.
_SAME = 1e-4


@torch.inference_mode()
def salience(vectors: Vectors, lengths: Sequence[int]) -> Tensor:
    """Return how well each of N sentences stands for the text, (N,) float32, 0 at least.

    Cosine to the text's mean direction, in which a sentence weighs as much as it is long; times
    its length to the power of 1.5, relative to the longest (over twice the mean counts as twice
    the mean); times a prior that falls by a tenth from the first sentence to the last. `lengths`
    are those of `length_of`.

    >>> vectors = Vectors.of(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]))
    >>> salience(vectors, [9, 9, 9]).argmax().item()
    1
    """
    length = torch.tensor(lengths, dtype=torch.float32).clamp_min(1)
    length = length.clamp_max(_LONGEST * float(length.mean()))
    parts = length.split(CHUNK)
    mean = torch.zeros(vectors.width)
    for chunk, weight in zip(vectors.chunks(), parts, strict=True):
        mean += weight @ F.normalize(chunk, dim=1)
    mean = F.normalize(mean, dim=0)
    central = torch.cat([F.normalize(chunk, dim=1) @ mean for chunk in vectors.chunks()])
    position = torch.linspace(1, 1 - _FALL, len(length))
    return central.clamp_min(0) * (length / length.max()) ** _LENGTH_POWER * position


def length_of(text: str) -> int:
    """Count letters and digits: a measure that needs no words and forgets punctuation.

    >>> length_of('"Look!" said Tom.'), length_of("大家好。")
    (11, 3)
    """
    return sum(map(str.isalnum, text))


@torch.inference_mode()
def nearest(vectors: Vectors, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the cosines (Q, k) and rows (Q, k) of the `count` vectors nearest to queries (Q, D).

    k is the smaller of `count` and N; the nearest comes first.
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
    """Return how much of a vector (D,) lies in what sources (k, D) span together, from 0 to 1.

    The cosine to the nearest combination of them: a sentence may bring together what several said.

    >>> sources = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> round(support(torch.tensor([1.0, 1.0, 0.0]), sources), 4)
    1.0
    >>> round(support(torch.tensor([1.0, 0.0, 1.0]), sources), 4)
    0.7071
    """
    directions, sizes, _ = torch.linalg.svd(F.normalize(sources, dim=1).T, full_matrices=False)
    # Sentences that say the same span no more than one of them.
    directions = directions[:, sizes > _SAME * sizes.max()]
    return float((F.normalize(vector, dim=0) @ directions).norm())


def parts(paragraphs: Sequence[int], longest: int) -> list[range]:
    """Cut a text of N sentences into parts of at most `longest`, between paragraphs if possible.

    `paragraphs` (N,) numbers each sentence's paragraph. A paragraph that is too long is cut into
    pieces of about one size.

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

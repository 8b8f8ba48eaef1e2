"""Salience of sentences, by their words and vectors; nearest neighbours and support, by vectors.

Vectors are read in chunks (`Vectors`), so that a long text's need not lie in memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.summary.terms import Terms
from sonar_cli.summary.vectors import Vectors
from sonar_cli.text.marks import SPACELESS_CHARACTER

# What the vectors' centrality counts beside the words'. A small codec's vectors hardly help on real
# documents, and this much does no harm where they tell nothing (see docs/summaries.md).
_VECTOR_SHARE = 0.1
# A sentence of a summary by people has about so many letters and digits, of which a character of a
# script without spaces says as much as three. In a text of shorter sentences longer ones are worth
# more, by the third power of how much shorter they are; the power of the length is at most 4.
_USUAL_LENGTH, _STEEPNESS, _MAX_POWER = 74, 3, 4.0
_SPACELESS_LETTERS = 3
# How much more the first sentence of a text counts than its last. Half of this goes to the second,
# a third to the third.
_FIRST = 0.7
# What a question counts of a statement: it says less.
_QUESTION_SHARE = 0.5
_QUESTION = re.compile(r"[?？؟⁇⁈⁉՞፧]\W*$")
# A sentence that shares nothing with the others is still better than none.
_LEAST = 1e-6
# Singular values below this share of the largest count as zero.
_RANK_TOLERANCE = 1e-4


@torch.inference_mode()
def salience(vectors: Vectors, sentences: Sequence[str], lang: str = "eng_Latn") -> Tensor:
    """Return how well each of N sentences represents the text: (N,) float32, above 0.

    Salience is the product of three factors. The first is the mean cosine to the other sentences,
    of words weighted by TF-IDF, plus a tenth of that of the vectors around their mean. The second
    is the length in letters and digits to a power: the share of sentences without the text's most
    frequent word, since where all speak of one thing a short one says it best, times the cube of 74
    over the mean length, since people's summaries have sentences of about that length. The third
    factor is 1 + 0.7 / k for the k-th sentence, and half of that for a question.

    >>> vectors = Vectors.of(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]))
    >>> told = ["It was a kite.", "A kite hung in the oak.", "The oak was old."]
    >>> salience(vectors, told).argmax().item()
    1
    """
    terms = Terms(sentences, lang)
    central = terms.centrality() + _VECTOR_SHARE * centrality(vectors)
    lengths = [length_of(each) for each in sentences]
    length = torch.tensor(lengths, dtype=torch.float32).clamp_min(1)
    place = 1 + _FIRST / torch.arange(1, len(length) + 1)
    place[[bool(_QUESTION.search(each)) for each in sentences]] *= _QUESTION_SHARE
    power = min(_MAX_POWER, (1 - terms.focus()) * _shortness(sentences, sum(lengths)))
    return central.clamp_min(_LEAST) * (length / length.max()) ** power * place


def _shortness(sentences: Sequence[str], letters: int) -> float:
    """Return the third power of how much shorter than in people's summaries sentences are.

    `letters` is the sum of their lengths.
    """
    spaceless = sum(len(SPACELESS_CHARACTER.findall(each)) for each in sentences)
    total = letters + (_SPACELESS_LETTERS - 1) * spaceless
    return float((_USUAL_LENGTH * len(sentences) / max(1, total)) ** _STEEPNESS)


def centrality(vectors: Vectors) -> Tensor:
    """Return each vector's mean cosine to the others, all seen from their mean: (N,) float32.

    The mean cosine is the product with the mean direction, so no N x N matrix is needed.
    """
    count = len(vectors)
    mean = sum((chunk.sum(0) for chunk in vectors.chunks()), torch.zeros(vectors.width)) / count
    total = torch.zeros(vectors.width)
    for chunk in vectors.chunks():
        total += F.normalize(chunk - mean, dim=1).sum(0)
    directions = (F.normalize(chunk - mean, dim=1) for chunk in vectors.chunks())
    found = [own @ total - own.square().sum(1) for own in directions]
    return torch.cat(found) / max(1, count - 1)


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

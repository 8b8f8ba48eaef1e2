"""Which sentences of a text share their words with the others: centrality by TF-IDF."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor

from sonar_cli.text.words import ContentWords

# Without a list of function words, those in more than this share of the sentences count as such.
_FREQUENT = 0.5


class Terms:
    """The content words of N sentences: numbers of words, a few bytes each.

    >>> terms = Terms(["The kite flew.", "A kite! Kites!", "It rained."], "eng_Latn")
    >>> [round(each, 2) for each in terms.centrality().tolist()]
    [0.28, 0.28, 0.0]
    >>> round(terms.focus(), 2)
    0.67
    """

    def __init__(self, sentences: Iterable[str], lang: str) -> None:
        words = ContentWords(lang)
        known: dict[str, int] = {}
        ids, times, sizes = array("q"), array("q"), array("q")
        for each in sentences:
            found = Counter(known.setdefault(word, len(known)) for word in words(each))
            ids.extend(found.keys())
            times.extend(found.values())
            sizes.append(len(found))
        self._count = len(sizes)
        # Each word of each sentence once, all (M,): which word, how often it is there, which row.
        self._words, self._times, counts = (_tensor(each) for each in (ids, times, sizes))
        self._rows = torch.arange(self._count).repeat_interleave(counts)
        self._frequency = torch.bincount(self._words, minlength=len(known))  # (V,) in sentences
        if not words.is_listed:
            self._keep(self._frequency[self._words] <= max(1, _FREQUENT * self._count))

    def _keep(self, kept: Tensor) -> None:
        self._words, self._times = self._words[kept], self._times[kept]
        self._rows = self._rows[kept]
        self._frequency = torch.bincount(self._words, minlength=len(self._frequency))

    def focus(self) -> float:
        """Return the share of sentences that have the most frequent word, 0 where there is none."""
        return float(self._frequency.max()) / self._count if len(self._frequency) else 0.0

    def centrality(self) -> Tensor:
        """Return each sentence's mean cosine to the others, (N,) float32.

        A sentence's vector has for each of its words how often it is there, times log(1 + N / n),
        where n sentences have the word. The mean is LexRank's degree centrality (Erkan and Radev
        2004, arXiv 1109.2128) without a threshold, and without a sentence's cosine to itself.
        """
        rarity = (1 + self._count / self._frequency.clamp_min(1).double()).log()
        weight = self._times * rarity[self._words]
        square = _sums(weight.square(), self._rows, self._count)
        weight /= square.sqrt()[self._rows]
        total = _sums(weight, self._words, len(self._frequency))
        found = _sums(weight * total[self._words], self._rows, self._count)
        own = (square > 0).double()
        return ((found - own) / max(1, self._count - 1)).clamp_min(0).float()


def _tensor(values: array[int]) -> Tensor:
    return torch.frombuffer(values, dtype=torch.int64) if values else torch.empty(0).long()


def _sums(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Return the sum (count,) float64 of values (M,) in each of the groups (M,)."""
    return torch.zeros(count, dtype=torch.float64).index_add_(0, groups, values)

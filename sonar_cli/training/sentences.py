"""What a codec is trained on: sentences as often as the roots of their numbers, and made ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.shapes import DECODER_MAX_LEN
from sonar_cli.training.batches import Ints, Rows, padded
from sonar_cli.training.corpus import Corpus
from sonar_cli.training.pieces import piece_of
from sonar_cli.training.record import digest
from sonar_cli.training.shards import SPECIAL
from sonar_cli.training.tables import Data
from sonar_cli.training.texts import documents, part_of, place_of
from sonar_cli.training.vectors import read_sentences

# Sentences that the tokenizer and the made sentences are made of.
_SAMPLE = 500_000
# Each mark is this share of all sentences.
_MARKS = 0.01


@dataclass(frozen=True)
class Sentences:
    """Items to train on: item i is row `order[i]` of `tokens`, or beyond these a row of `extra`.

    Rows are `[eos] [lang] pieces [eos]`; those of a corpus are memory-mapped. `digest` is a hash of
    all of it.
    """

    tokens: Rows
    extra: Rows
    order: Ints
    digest: str

    def __len__(self) -> int:
        return len(self.order)

    @property
    def lengths(self) -> Ints:
        """Return the number of ids of each item (items,)."""
        return np.concatenate([self.tokens.lengths, self.extra.lengths])[self.order]

    def target(self, items: Sequence[int] | Ints, device: torch.device) -> Tensor:
        """Return items as the decoder writes them (N, longest) int64, padded on the right.

        Without the first column they are as the encoder reads them.
        """
        return padded([self._row(int(self.order[item])) for item in items], device)

    def _row(self, number: int) -> np.ndarray:
        count = len(self.tokens)
        return self.tokens.row(number) if number < count else self.extra.row(number - count)


def of_texts(texts: Sequence[str], tokenizer: Tokenizer) -> Sentences:
    """Return each of some sentences once."""
    return Sentences(_rows(texts, tokenizer), Rows.of([]), np.arange(len(texts)), digest(texts))


def of_corpus(
    corpus: Corpus, extra: Sequence[str], tokenizer: Tokenizer, longest: int = 0
) -> Sentences:
    """Return the training sentences of a corpus, the marks of all systems, and extra texts.

    Each of the corpus is there as often as `repeats` says; those of more than `longest` tokens are
    left out. Raises UsageError where all are.
    """
    often = repeats(corpus)
    rows = _rows(extra, tokenizer)
    order = np.concatenate([
        np.repeat(np.arange(len(often)), often), len(often) + np.arange(len(rows))
    ])  # fmt: skip
    made = digest([corpus.digest, rows.flat, rows.starts, str(longest)])
    found = Sentences(corpus.tokens, rows, order, made)
    if not longest:
        return found
    short = order[found.lengths <= longest]
    if not len(short):
        raise UsageError(f"objective.longest={longest}: every sentence has more tokens")
    return replace(found, order=short)


def repeats(corpus: Corpus) -> Ints:
    """Return how often each sentence of a corpus is an item (sentences,).

    One that occurs n times in the training texts is isqrt(n) items, so that the sentences which
    every text has are learned but do not dominate. Each mark is `_MARKS` of all. Raises UsageError
    for a corpus without training texts.
    """
    often = np.floor(np.sqrt(corpus.counts)).astype(np.int64)
    often[: len(SPECIAL)] = 0
    total = int(often.sum())
    if not total:
        raise UsageError("there is no sentence to train on")
    often[: len(SPECIAL)] = max(1, int(_MARKS * total))
    return often


def held_out(corpus: Corpus, folder: Path, count: int) -> list[str]:
    """Return up to `count` sentences of texts to validate on that no training text has."""
    known = corpus.counts
    found: dict[int, None] = {}
    for text in corpus.valid:
        found.update((n, None) for n in corpus.documents.row(text).tolist() if not known[n])
        if len(found) >= count:
            break
    return [read_sentences(folder, n, n + 1)[0] for n in list(found)[:count]]


def sample(data: Data, seed: int) -> list[str]:
    """Return a random sample of the training texts' sentences; memory holds nothing else.

    Raises UsageError where there is none.
    """
    draw, seen = random.Random(seed), 0
    found: list[str] = []
    for text in documents(data, lambda line: None):
        if part_of(place_of(text), data) != "train":
            continue
        for sentence in text:
            seen += 1
            if len(found) < _SAMPLE:
                found.append(sentence)
            elif (place := draw.randrange(seen)) < _SAMPLE:
                found[place] = sentence
    if not found:
        raise UsageError(f"data.path={data.path}: there is no sentence to train on")
    return found


def weighted(sentences: Iterable[str]) -> list[str]:
    """Return sentences, sorted, each as often as the root of its number, rounded down.

    >>> weighted(["B."] + 5 * ["A."])
    ['A.', 'A.', 'B.']
    """
    counts = Counter(sentences)
    return [text for text in sorted(counts) for _ in range(int(counts[text] ** 0.5))]


def _rows(texts: Sequence[str], tokenizer: Tokenizer) -> Rows:
    return piece_of(list(texts), tokenizer, DECODER_MAX_LEN).tokens

"""What a codec is trained on: sentences as often as the roots of their numbers, and others."""

from __future__ import annotations

import random
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
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
from sonar_cli.training.recipe import Data
from sonar_cli.training.record import digest
from sonar_cli.training.shards import SPECIAL
from sonar_cli.training.texts import documents, part_of, place_of
from sonar_cli.training.vectors import read_sentences

# Sentences that the tokenizer and the random words are made of.
_SAMPLE = 200_000
# Each mark is this share of all sentences.
_MARKS = 0.01
_LETTERS = string.ascii_letters + string.digits + "äéñøßçæü" + string.punctuation


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


def of_corpus(corpus: Corpus, extra: Sequence[str], tokenizer: Tokenizer) -> Sentences:
    """Return the training sentences of a corpus, the marks of all systems, and extra texts.

    Each of the corpus is there as often as `repeats` says.
    """
    often = repeats(corpus)
    rows = _rows(extra, tokenizer)
    order = np.concatenate([
        np.repeat(np.arange(len(often)), often), len(often) + np.arange(len(rows))
    ])  # fmt: skip
    made = digest([corpus.digest, rows.flat, rows.starts])
    return Sentences(corpus.tokens, rows, order, made)


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


def random_like(sentences: Iterable[str], count: int, seed: int) -> list[str]:
    """Return random texts of the words of sentences; see `random_texts`."""
    words = {word for sentence in sentences for word in re.findall(r"\w+", sentence.lower())}
    return list(random_texts(words, count, seed)) if words else []


def weighted(sentences: Iterable[str]) -> list[str]:
    """Return sentences, sorted, each as often as the root of its number, rounded down.

    >>> weighted(["B."] + 5 * ["A."])
    ['A.', 'A.', 'B.']
    """
    counts = Counter(sentences)
    return [text for text in sorted(counts) for _ in range(int(counts[text] ** 0.5))]


def random_texts(words: Iterable[str], count: int, seed: int) -> Iterator[str]:
    """Yield random words and, every fourth time, random characters.

    Without them, pieces and word orders that the texts never have would stay untrained.
    """
    draw = random.Random(seed)
    known = sorted(words)
    for number in range(count):
        if number % 4:
            salad = [known[draw.randrange(len(known))] for _ in range(draw.randrange(2, 7))]
            yield " ".join(salad).capitalize() + ".?!"[draw.randrange(3)]
        else:
            size = draw.randrange(2, 9)
            yield "".join(_LETTERS[draw.randrange(len(_LETTERS))] for _ in range(size))


def _rows(texts: Sequence[str], tokenizer: Tokenizer) -> Rows:
    return piece_of(list(texts), tokenizer, DECODER_MAX_LEN).tokens

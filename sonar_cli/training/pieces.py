"""Texts -> pieces of a corpus: what any process can make of some texts by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sonar_cli.errors import InputError
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.options import ENGLISH
from sonar_cli.training.batches import Rows
from sonar_cli.training.tables import Data
from sonar_cli.training.texts import Source, place_of, sentences_of, summary_at

# Texts of a piece: so many, or fewer of so many characters.
_TEXTS, _CHARACTERS = 256, 1 << 20


class Piece(NamedTuple):
    """What some texts became: their different sentences, and rows of these by index.

    `digests` tell the sentences apart; `cut` (sentences,) tells which were too long. Row i of
    `rows` are the sentences of a text, or of a part of it; it has `ends`, `places` and `marks`,
    hashes. `read` is the number of texts, `short` and `empty` of those of one sentence and of none,
    and `errors` tell of those that could not be split.
    """

    sentences: list[str]
    digests: list[bytes]
    tokens: Rows
    cut: npt.NDArray[np.bool_]
    rows: Rows
    ends: list[bool]
    places: list[float]
    marks: list[bytes]
    read: int
    short: int
    empty: int
    errors: list[str]


def split(
    data: Data, limit: int, least: int, tokenizer: Tokenizer, texts: Sequence[Source]
) -> Piece:
    """Split texts of at least `least` sentences, cut to `limit` tokens each, into rows of them."""
    numbers: dict[str, int] = {}
    rows: list[list[int]] = []
    ends, places, errors = [], [], []
    short = empty = 0
    for text in texts:
        try:
            sentences = sentences_of(text, data)
        except InputError as error:
            errors.append(str(error))
            continue
        empty += len(sentences) == 0
        short += 0 < len(sentences) < least
        if len(sentences) < least:
            continue
        for window, last in _windows(sentences, data):
            rows.append([numbers.setdefault(each, len(numbers)) for each in window])
            ends.append(last)
            places.append(place_of(sentences))
    found = piece_of(list(numbers), tokenizer, limit)
    marks = [
        short_hash(*(found.digests[number] for number in row), f"{last} {place}".encode())
        for row, last, place in zip(rows, ends, places, strict=True)
    ]
    return found._replace(
        rows=Rows.of(rows), ends=ends, places=places, marks=marks,
        read=len(texts), short=short, empty=empty, errors=errors,
    )  # fmt: skip


def batches(texts: Iterable[Source]) -> Iterator[list[Source]]:
    """Yield the texts by so many that it is worth handing them to another process."""
    batch: list[Source] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += 0 if isinstance(text, int) else len(text.content)
        if len(batch) >= _TEXTS or size >= _CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def piece_of(sentences: list[str], tokenizer: Tokenizer, limit: int) -> Piece:
    """Return a piece of sentences alone, their ids as the decoder writes them."""
    ids = [tokenizer.target(each, ENGLISH) for each in sentences]
    cut = np.array([len(row) > limit for row in ids], np.bool_)
    tokens = Rows.of(row if len(row) <= limit else [*row[: limit - 1], row[-1]] for row in ids)
    digests = [short_hash(each.encode()) for each in sentences]
    return Piece(sentences, digests, tokens, cut, Rows.of([]), [], [], [], 0, 0, 0, [])


def short_hash(*parts: bytes) -> bytes:
    """Return 16 bytes that tell contents apart, without knowing where a part ends."""
    return blake2b(b"".join(parts), digest_size=16).digest()


def _windows(sentences: list[str], data: Data) -> Iterator[tuple[list[str], bool]]:
    """Cut a text into pieces of at most `max_sentences`; tell of each whether it ends the text.

    A summary comes whole behind the last piece, which it makes longer.
    """
    at = summary_at(sentences) if data.summaries else len(sentences)
    own, summary = sentences[:at], sentences[at:]
    size = data.max_sentences
    for start in range(0, 1 if data.cut else len(own), size):
        last = data.cut or start + size >= len(own)
        yield own[start : start + size] + (summary if last else []), last

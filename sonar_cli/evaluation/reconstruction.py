"""How well a codec gives the sentences of any text back, by their length."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.metrics import chrf, share
from sonar_cli.evaluation.report import Column, Record, Report, Table, percent
from sonar_cli.model.codec.base import Codec

# Sentences that are encoded and decoded together.
_TOGETHER = 200
# The most words of the classes that sentences are told apart by, and what is reported together.
_CLASSES = ((1, 6), (7, 12), (13, 25), (1, 12), (1, 25))

# progress(sentences, their number) -> the same sentences
Progress = Callable[[Iterable[str], int], Iterable[str]]


@dataclass(frozen=True)
class _Back:
    """A sentence that came back: its number of words, whether it is the same, and its chrF."""

    words: int
    same: bool
    chrf: float


def run(
    codec: Codec,
    texts: Mapping[str, Sequence[str]],
    count: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Encode and decode different sentences of texts; report by text and length what comes back.

    `texts` are names of texts with their sentences, of which `count` of up to 25 words each are
    drawn by `seed`, or all where they are fewer. Words are parted by white space. A sentence is
    compared as the codec's tokenizer writes it, which may write other quotes and dashes, say, than
    the text has. Of each class of lengths are reported the share of sentences that come back letter
    for letter, and the mean of their chrF in [0, 100].

    Raises UsageError for a text without a sentence of up to 25 words.
    """
    drawn = {name: _drawn(name, sentences, count, seed) for name, sentences in texts.items()}
    total = sum(map(len, drawn.values()))
    every = chain.from_iterable(drawn.values())
    back = _given_back(codec, iter(progress(every, total) if progress else every))
    records: list[Record] = []
    for name, sentences in drawn.items():
        of_text = list(islice(back, len(sentences)))
        records += [_record(name, of_text, least, most) for least, most in _CLASSES]
    return Report([Table("codec", _COLUMNS, [each for each in records if each["sentences"]])])


def _drawn(name: str, sentences: Sequence[str], count: int, seed: int) -> list[str]:
    short = [each for each in dict.fromkeys(sentences) if 1 <= len(each.split()) <= _CLASSES[-1][1]]
    if not short:
        raise UsageError(f"{name}: there is no sentence of up to {_CLASSES[-1][1]} words")
    return random.Random(seed).sample(short, min(count, len(short)))


def _given_back(codec: Codec, sentences: Iterator[str]) -> Iterator[_Back]:
    while together := list(islice(sentences, _TOGETHER)):
        for text, decoded in zip(together, codec.decode(codec.encode(together)), strict=True):
            wanted = codec.tokenizer.written(text)
            yield _Back(len(text.split()), decoded.text == wanted, chrf(wanted, decoded.text))


def _record(name: str, back: Sequence[_Back], least: int, most: int) -> Record:
    found = [each for each in back if least <= each.words <= most]
    return {
        "text": name,
        "words": f"{least}-{most}",
        "sentences": len(found),
        "exact": share(each.same for each in found),
        "chrf": sum(each.chrf for each in found) / len(found) if found else 0.0,
    }


_COLUMNS = [
    Column("text", "text", left=True),
    Column("words", "words", left=True),
    Column("sentences", "sentences"),
    Column("exact", "exact", percent),
    Column("chrf", "chrF", "{:.1f}".format),
]

"""How a SONAR-LLM continues real texts: whether in words, in sentences of its own, and how likely.

The model is given the first sentences of pieces of texts that it was not trained on.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.evaluation import likelihood
from sonar_cli.evaluation.continued import TOGETHER, continued
from sonar_cli.evaluation.measures import measure, report
from sonar_cli.evaluation.metrics import repeats, share, words
from sonar_cli.evaluation.report import Column, Record, Report, Table
from sonar_cli.evaluation.wordnet import has_synonyms, wordnet
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.systems.base import BEGIN_SENTENCE, System
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import GenerationOptions
from sonar_cli.world.stories import vocabulary

# A piece of a text: so many sentences are given, and so many are written or follow at most.
GIVEN, WRITTEN = 4, 8

# progress(pieces, their number) -> the same pieces
Progress = Callable[[Iterable["Piece"], int], Iterable["Piece"]]


@dataclass(frozen=True)
class Piece:
    """A piece of a text: the sentences that are `given`, and those that `follow` in truth."""

    given: tuple[str, ...]
    follow: tuple[str, ...]


def run(
    system: System,
    texts: Sequence[Sequence[str]],
    count: int,
    known: Collection[str],
    shown: int = 0,
    seed: int = 0,
    options: GenerationOptions | None = None,
    progress: Progress | None = None,
) -> Report:
    """Continue `count` pieces of texts, drawn by `seed`; report four measures with their targets.

    `texts` are lists of sentences. A word is English if it is among `known`, the story world's
    words or WordNet's. Distinct-2 is the number of different pairs of words that follow each other,
    divided by the number of pairs; it is divided by that of as many words of the true text. The
    cross-entropy of the sentences that truly follow, through the decoder, is compared with that of
    the best single vector for all of them, which is looked for by gradient descent on these very
    sentences. The report begins with the first `shown` continuations as they are.

    Raises UsageError for a system that is no SONAR-LLM with our own codec, for texts that have no
    piece, and where there is no WordNet.
    """
    if not isinstance(system, SonarLLMSystem) or not isinstance(system.codec, NativeCodec):
        raise UsageError("continuations are those of a SONAR-LLM with our own codec")
    if not has_synonyms():
        raise UsageError("this needs WordNet: NLTK's corpus, or Debian's package wordnet-base")
    pieces = drawn(texts, count, seed)
    options = options or GenerationOptions(sentences=WRITTEN)
    waiting = iter(progress(pieces, len(pieces)) if progress else pieces)
    written = list(_continued(system, waiting, options))
    found = [
        *_text_measures(pieces, written, known),
        *_likelihoods(system, system.codec, pieces),
    ]
    records = [
        {"given": " ".join(piece.given), "written": " ".join(new)}
        for piece, new in zip(pieces[:shown], written, strict=False)
    ]
    return Report([Table("continuations", _COLUMNS, records), *report(found).tables])


def drawn(texts: Sequence[Sequence[str]], count: int, seed: int) -> list[Piece]:
    """Return up to `count` pieces of texts, drawn by `seed`, that do not overlap.

    >>> drawn([["A.", "B.", "C.", "D.", "E.", "F."], ["G."]], 5, seed=0)
    [Piece(given=('A.', 'B.', 'C.', 'D.'), follow=('E.', 'F.'))]
    """
    size = GIVEN + WRITTEN
    pieces = [
        Piece(tuple(piece[:GIVEN]), tuple(piece[GIVEN:]))
        for text in texts
        for start in range(0, len(text), size)
        if len(piece := text[start : start + size]) > GIVEN
    ]
    if not pieces:
        raise UsageError(f"no text has more than {GIVEN} sentences, so there is none to continue")
    return random.Random(seed).sample(pieces, min(count, len(pieces)))


def _continued(
    system: System, pieces: Iterator[Piece], options: GenerationOptions
) -> Iterator[tuple[str, ...]]:
    while together := list(islice(pieces, TOGETHER)):
        prefixes = [piece.given for piece in together]
        yield from (each.written for each in continued(system, prefixes, options))


def _text_measures(
    pieces: Sequence[Piece], written: Sequence[Sequence[str]], known: Collection[str]
) -> list[Record]:
    english = _English({*known, *vocabulary()})
    spelled = [english(word) for new in written for text in new for word in words(text)]
    again = [repeats(piece.given, new) for piece, new in zip(pieces, written, strict=True)]
    ours, theirs = _pairs(written), _pairs([piece.follow for piece in pieces])
    size = min(len(ours), len(theirs))
    rate = distinct(ours[:size]) / max(distinct(theirs[:size]), 1e-9)
    return [
        measure("words that are English", share(spelled), len(spelled), 0.98),
        measure("repeats a sentence word for word", share(again), len(again), 0.05, at_least=False),
        measure("distinct-2, of the true text's", rate, size, 0.7),
    ]


class _English:
    """Tells whether a word is English; numbers are."""

    def __init__(self, known: Collection[str]) -> None:
        self.known = {each.lower() for each in known}
        self.wordnet = wordnet()

    def __call__(self, word: str) -> bool:
        small = word.lower()
        if small not in self.known and not small.isdigit() and not self.wordnet.synsets(small):
            return False
        self.known.add(small)
        return True


def _pairs(texts: Iterable[Sequence[str]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for sentences in texts:
        small = [word.lower() for sentence in sentences for word in words(sentence)]
        found += pairwise(small)
    return found


def distinct(values: Sequence[object]) -> float:
    """Return the share of different values among all; 0 of none.

    >>> distinct(["a b", "b c", "a b", "a b"])
    0.5
    """
    return len(set(values)) / len(values) if values else 0.0


@torch.inference_mode()
def _likelihoods(
    system: SonarLLMSystem, codec: NativeCodec, pieces: Sequence[Piece]
) -> list[Record]:
    """Return the cross-entropy a token of what follows, by the model and by one vector for all."""
    begin = [BEGIN_SENTENCE] if system.predictor.config.add_begin else []
    predicted: list[Tensor] = []
    following: list[str] = []
    for piece in pieces:
        sentences = [*piece.given, *piece.follow]
        vectors = codec.encode([*begin, *sentences[:-1]]).unsqueeze(0)
        predicted.append(system.predictor(vectors)[0, len(begin) + GIVEN - 1 :].float())
        following += piece.follow
    target = likelihood.targets(codec, following)
    ours = likelihood.entropy(codec, torch.cat(predicted), target)
    constant = likelihood.best_constant(codec, codec.encode(following).mean(0), target)
    theirs = likelihood.entropy(codec, constant.expand(len(target), -1), target)
    return [
        measure("cross-entropy below the best constant's", 1 - ours / theirs, len(target), 0.15),
        measure("cross-entropy, nats a token", ours, len(target), is_share=False),
        measure("that of the best constant vector", theirs, len(target), is_share=False),
    ]


_COLUMNS = [
    Column("given", "given", left=True),
    Column("written", "written", left=True),
]

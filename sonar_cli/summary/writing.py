"""What a system writes of a document, and how much of it the document supports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.systems.base import System
from sonar_cli.options import GenerationOptions, SummaryOptions
from sonar_cli.pipeline import generate_many, in_order
from sonar_cli.summary.document import Document
from sonar_cli.summary.plan import Plan, reading_parts
from sonar_cli.summary.salience import nearest, support
from sonar_cli.summary.vectors import Vectors

# A written sentence is held against this many of its nearest sentences together.
_NEAREST = 5
# At most so many are named as its sources, those whose cosine is at least this share of the best.
_CITED = 3
_AS_NEAR = 0.75

_WORD = re.compile(r"\w+")

# Wraps the parts that are read one by one, to show how far it is.
Progress = Callable[[Sequence[range]], Iterable[range]]


@dataclass(frozen=True)
class Written:
    """A sentence that a system wrote, its vector (1, D), and the rows it leans on, nearest first.

    `support` is `salience.support` by the nearest sentences of what it was written from, and 0 for
    one with a name or a number that none of those has.
    """

    text: str
    vector: Tensor
    rows: tuple[int, ...]
    cosines: tuple[float, ...]
    support: float


def write(
    document: Document,
    system: System,
    plan: Plan,
    options: SummaryOptions,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Iterator[Written]:
    """Yield what the system writes of each part of a document, without what it wrote before."""
    parts = reading_parts(document, plan.context)
    cue = system.codec.encode([plan.cue], options.source_lang).cpu()
    prompts = (
        torch.cat([document.vectors.take(part), cue])
        for part in (progress(parts) if progress else parts)
    )
    generation = GenerationOptions(
        sentences=plan.count,
        source_lang=options.source_lang,
        begin=options.begin,
        beam_size=options.beam_size,
        max_tokens=options.max_tokens,
        stop_threshold=options.stop_threshold,
    )
    seen: set[str] = set()
    for number, step in in_order(generate_many(system, prompts, generation, batch_size)):
        if step.text and step.text not in seen:
            seen.add(step.text)
            yield _supported(document, system.codec, step.text, parts[number], options)


def _supported(
    document: Document, codec: Codec, text: str, part: range, options: SummaryOptions
) -> Written:
    """Find what a written sentence leans on, in the part that it was written from."""
    vector = codec.encode([text], options.source_lang).cpu()
    sources = document.vectors.take(part)
    cosines, rows = nearest(Vectors.of(sources), vector, _NEAREST)
    held = support(vector[0], sources[rows[0]])
    if facts(text) - set(_WORD.findall(" ".join(document.text(row) for row in part))):
        held = 0.0
    # The nearest is a source however far it is, so that there is one to look at.
    near = [
        (part.start + int(row), float(cosine))
        for row, cosine in zip(rows[0, :_CITED], cosines[0], strict=False)
        if cosine >= _AS_NEAR * cosines[0, 0] or row == rows[0, 0]
    ]
    found, how_near = zip(*near, strict=True)
    return Written(text, vector, found, how_near, held)


def facts(text: str) -> set[str]:
    """Return what must not be made up: numbers, and names, as far as capitals show them.

    A sentence's first word has its capital anyway.

    >>> sorted(facts("Then Tom paid 30 euros to Ann Lee."))
    ['30', 'Ann', 'Lee', 'Tom']
    """
    words = _WORD.findall(text)
    return {
        word
        for number, word in enumerate(words)
        if any(map(str.isdigit, word)) or (number and word[0].isupper() and len(word) > 1)
    }

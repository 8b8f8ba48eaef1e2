"""Let a system write a summary of a document, and measure the support of each sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.systems.base import Prompt, System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import GenerationOptions, SummaryOptions
from sonar_cli.pipeline import in_order, write_many
from sonar_cli.summary.document import Document
from sonar_cli.summary.plan import Plan, reading_parts
from sonar_cli.summary.salience import nearest, support
from sonar_cli.summary.vectors import Vectors

# Number of nearest sentences from which the support of a written sentence is computed.
_NEAREST = 5
# The most of these that are named as its sources.
_MAX_SOURCES = 3
# The cosine of a source, as a share of the nearest sentence's cosine, is at least this.
_MIN_COSINE_SHARE = 0.75

_WORD = re.compile(r"\w+")

# Wraps the sequence of parts to show how many have been read.
Progress = Callable[[Sequence[range]], Iterable[range]]


@dataclass(frozen=True)
class Written:
    """A sentence that a system wrote for a part of the document, with its vector (1, D).

    `rows` are its sources in the part, nearest first, and `cosines` their cosines to the vector.
    `support` is `salience.support` by the nearest sentences of the part, or 0 if the sentence has a
    name or a number that the part does not have.
    """

    text: str
    vector: Tensor
    rows: tuple[int, ...]
    cosines: tuple[float, ...]
    support: float


def write(
    document: Document,
    codec: Codec,
    system: System | TokenLLMSystem,
    plan: Plan,
    options: SummaryOptions,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Iterator[Written]:
    """Yield the sentences that the system writes for each part of a document, without repeats.

    Their vectors, and so their sources and support, are the codec's whatever the system.
    """
    parts = reading_parts(document, plan.context)
    shown = progress(parts) if progress else parts
    if isinstance(system, TokenLLMSystem):
        prompts = _in_words(document, shown, plan.cue)
    else:
        cue = codec.encode([plan.cue], options.source_lang).cpu()
        prompts = (torch.cat([document.vectors.take(part), cue]) for part in shown)
    generation = GenerationOptions(
        sentences=plan.count,
        source_lang=options.source_lang,
        begin=options.begin,
        beam_size=options.beam_size,
        max_tokens=options.max_tokens,
        stop_threshold=options.stop_threshold,
        token_temperature=0,
        seed=0,  # a diffusion's noise: the summary of a text is the same every time
    )
    seen: set[str] = set()
    for number, step in in_order(write_many(system, prompts, generation, batch_size)):
        if step.text and step.text not in seen:
            seen.add(step.text)
            yield _with_support(document, codec, step.text, parts[number], options)


def _in_words(document: Document, parts: Iterable[range], cue: str) -> Iterator[Prompt]:
    """Yield the sentences of each part and the cue, for a system that reads no vectors."""
    for part in parts:
        yield [*map(document.text, part), cue]


def _with_support(
    document: Document, codec: Codec, text: str, part: range, options: SummaryOptions
) -> Written:
    """Return a written sentence with its sources and support, in the part it was written for."""
    vector = codec.encode([text], options.source_lang).cpu()
    sources = document.vectors.take(part)
    cosines, rows = nearest(Vectors.of(sources), vector, _NEAREST)
    score = support(vector[0], sources[rows[0]])
    if facts(text) - set(_WORD.findall(" ".join(document.text(row) for row in part))):
        score = 0.0
    # The nearest sentence is always a source, so that the reader has one to look at.
    near = [
        (part.start + int(row), float(cosine))
        for row, cosine in zip(rows[0, :_MAX_SOURCES], cosines[0], strict=False)
        if cosine >= _MIN_COSINE_SHARE * cosines[0, 0] or row == rows[0, 0]
    ]
    found, near_cosines = zip(*near, strict=True)
    return Written(text, vector, found, near_cosines, score)


def facts(text: str) -> set[str]:
    """Return the numbers and names in a sentence, which a system must not invent.

    Names are the words of two or more letters that begin with a capital, except the first word.

    >>> sorted(facts("Then Tom paid 30 euros to Ann Lee."))
    ['30', 'Ann', 'Lee', 'Tom']
    """
    words = _WORD.findall(text)
    return {
        word
        for number, word in enumerate(words)
        if any(map(str.isdigit, word)) or (number and word[0].isupper() and len(word) > 1)
    }

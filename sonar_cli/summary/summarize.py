"""The story of a summary: text -> sentences -> vectors -> the few that stand for all of them.

Extractive: sentences of the text. Abstractive: a system goes on after a cue, part by part where
the text is longer than it has learned to read. Hybrid: what it writes is held against what it
read, and a sentence with too little support gives way to one of the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec, decode_into
from sonar_cli.model.systems.base import System
from sonar_cli.options import Summary, SummaryOptions, SummarySentence
from sonar_cli.summary.choosing import choose
from sonar_cli.summary.document import Document
from sonar_cli.summary.plan import Plan
from sonar_cli.summary.salience import length_of, salience
from sonar_cli.summary.vectors import Vectors
from sonar_cli.summary.writing import Progress, Written, write


def summarize(
    document: Document,
    codec: Codec,
    system: System | None,
    plan: Plan,
    options: SummaryOptions,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Summary:
    """Sum up a document by a plan; `system` may be None for the extractive method.

    A text that is no longer than its summary comes back whole. `progress` may wrap the parts that
    the predictor reads one by one, `batch_size` of them side by side.

    >>> from sonar_cli.hub.resolve import resolve
    >>> from sonar_cli.model.load import load_codec
    >>> from sonar_cli.summary.document import read
    >>> from sonar_cli.summary.vectors import Encoding
    >>> from sonar_cli.text.documents import passages
    >>> codec = load_codec(resolve())
    >>> text = "Tom found a kite. It was stuck in a tree. Tom was sad."
    >>> document = read(passages(text), Encoding(codec, "eng_Latn"))
    >>> found = summarize(document, codec, None, Plan("extractive", 1), SummaryOptions())
    >>> [source.index for source in found.sentences[0].sources]
    [1]
    """
    if len(document) <= plan.count:
        sentences = [_taken(document, row) for row in range(len(document))]
    elif plan.method == "extractive" or system is None:
        sentences = _extract(document, plan.count)
    else:
        written = list(write(document, system, plan, options, batch_size, progress))
        least = options.support if plan.method == "hybrid" else -math.inf
        sentences = _supported(document, written, plan.count, least)
        sentences = sentences or _extract(document, plan.count)
    return Summary(
        tuple(_in_languages(sentences, codec, options)), len(document), document.length()
    )


def _extract(document: Document, count: int) -> list[SummarySentence]:
    """Choose sentences of the text and give them in its order."""
    rows = choose(document.vectors, _salience(document), count)
    return [_taken(document, row) for row in sorted(rows)]


def _salience(document: Document) -> Tensor:
    lengths = [length_of(document.text(row)) for row in range(len(document))]
    return salience(document.vectors, lengths)


def _taken(document: Document, row: int) -> SummarySentence:
    source = document.source(row, 1.0)
    return SummarySentence(document.text(row), (source,), "extractive", 1.0, document.heading(row))


def _supported(
    document: Document, written: Sequence[Written], count: int, least: float
) -> list[SummarySentence]:
    """Of what was written, take at most `count` sentences that stand for all of it.

    Those with a support below `least` are left out before that, and what is then missing is made
    up for by sentences of the text, in the same places.
    """
    kept = [i for i, each in enumerate(written) if each.support >= least]
    if len(kept) > count:
        kept = _chosen([written[i] for i in kept], kept, count)
    gaps = [i for i, each in enumerate(written) if each.support < least]
    gaps = gaps[: max(0, min(count, len(written)) - len(kept))]
    used = {written[i].rows[0] for i in kept}
    spare = iter(choose(document.vectors, _salience(document), len(gaps), sorted(used)))
    return [
        _cited(document, written[i]) if i in set(kept) else _taken(document, next(spare))
        for i in sorted([*kept, *gaps])
    ]


def _chosen(written: Sequence[Written], numbers: Sequence[int], count: int) -> list[int]:
    vectors = Vectors.of(torch.cat([each.vector for each in written]))
    rows = choose(vectors, salience(vectors, [length_of(each.text) for each in written]), count)
    return sorted(numbers[row] for row in rows)


def _cited(document: Document, written: Written) -> SummarySentence:
    pairs = sorted(zip(written.rows, written.cosines, strict=True))
    sources = tuple(document.source(row, cosine) for row, cosine in pairs)
    heading = document.heading(pairs[0][0])
    support = round(written.support, 4)
    return SummarySentence(written.text, sources, "abstractive", support, heading)


def _in_languages(
    sentences: Sequence[SummarySentence], codec: Codec, options: SummaryOptions
) -> list[SummarySentence]:
    """Give the sentences in the target languages, each decoded from its own vector."""
    if not options.target_langs:
        return list(sentences)
    own = [each.text for each in sentences]
    vectors = codec.encode(own, options.source_lang)
    texts = decode_into(codec, options.target_langs, vectors, own, options)
    return [replace(each, texts=of) for each, of in zip(sentences, texts, strict=True)]

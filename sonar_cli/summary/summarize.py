"""Summarize a document by one of three methods.

Extractive: choose the sentences of the text that represent it best. Abstractive: let a system
continue the text after a cue, part by part if the text is longer than the system can read. Hybrid:
the same, but a written sentence with too little support in the text is replaced by one of the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec, decode_into
from sonar_cli.model.systems.base import System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import Summary, SummaryOptions, SummarySentence
from sonar_cli.summary.choosing import choose
from sonar_cli.summary.document import Document
from sonar_cli.summary.plan import Plan
from sonar_cli.summary.salience import salience
from sonar_cli.summary.vectors import Vectors
from sonar_cli.summary.writing import Progress, Written, write


def summarize(
    document: Document,
    codec: Codec,
    system: System | TokenLLMSystem | None,
    plan: Plan,
    options: SummaryOptions,
    batch_size: int = 8,
    progress: Progress | None = None,
) -> Summary:
    """Summarize a document by a plan; without a `system` by the extractive method.

    A text that is not longer than its summary is returned whole. A system reads `batch_size` parts
    of the text side by side; `progress` may wrap the parts to show how many are done.

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
    [0]
    """
    if len(document) <= plan.count:
        sentences = [_extractive(document, row) for row in range(len(document))]
    elif plan.method == "extractive" or system is None:
        sentences = _extract(document, plan.count, options.source_lang)
    else:
        written = list(write(document, codec, system, plan, options, batch_size, progress))
        min_support = options.support if plan.method == "hybrid" else -math.inf
        lang = options.source_lang
        sentences = _replace_unsupported(document, written, plan.count, min_support, lang)
        sentences = sentences or _extract(document, plan.count, lang)
    return Summary(
        tuple(_in_languages(sentences, codec, options)), len(document), document.length()
    )


def _extract(document: Document, count: int, lang: str) -> list[SummarySentence]:
    """Choose sentences of the text, and return them in the order of the text."""
    rows = choose(document.vectors, _salience(document, lang), count)
    return [_extractive(document, row) for row in sorted(rows)]


def _salience(document: Document, lang: str) -> Tensor:
    texts = [document.text(row) for row in range(len(document))]
    return salience(document.vectors, texts, lang)


def _extractive(document: Document, row: int) -> SummarySentence:
    source = document.source(row, 1.0)
    return SummarySentence(document.text(row), (source,), "extractive", 1.0, document.heading(row))


def _replace_unsupported(
    document: Document, written: Sequence[Written], count: int, min_support: float, lang: str
) -> list[SummarySentence]:
    """Return at most `count` sentences: written ones, and replacements from the text.

    Written sentences with a support below `min_support` are dropped. If more than `count` are left,
    `choose` selects from them. If fewer are left, sentences of the text take the places of dropped
    ones.
    """
    kept = [i for i, each in enumerate(written) if each.support >= min_support]
    if len(kept) > count:
        kept = _most_salient([written[i] for i in kept], kept, count, lang)
    dropped = [i for i, each in enumerate(written) if each.support < min_support]
    dropped = dropped[: max(0, min(count, len(written)) - len(kept))]
    used = {written[i].rows[0] for i in kept}
    # All words of the text are read for its salience, so only where sentences were dropped.
    rows = (
        choose(document.vectors, _salience(document, lang), len(dropped), sorted(used))
        if dropped
        else []
    )
    replacements = iter(rows)
    return [
        _abstractive(document, written[i])
        if i in set(kept)
        else _extractive(document, next(replacements))
        for i in sorted([*kept, *dropped])
    ]


def _most_salient(
    written: Sequence[Written], numbers: Sequence[int], count: int, lang: str
) -> list[int]:
    """Choose `count` of the written sentences; return their `numbers` in ascending order."""
    vectors = Vectors.of(torch.cat([each.vector for each in written]))
    rows = choose(vectors, salience(vectors, [each.text for each in written], lang), count)
    return sorted(numbers[row] for row in rows)


def _abstractive(document: Document, written: Written) -> SummarySentence:
    pairs = sorted(zip(written.rows, written.cosines, strict=True))
    sources = tuple(document.source(row, cosine) for row, cosine in pairs)
    heading = document.heading(pairs[0][0])
    support = round(written.support, 4)
    return SummarySentence(written.text, sources, "abstractive", support, heading)


def _in_languages(
    sentences: Sequence[SummarySentence], codec: Codec, options: SummaryOptions
) -> list[SummarySentence]:
    """Add the sentences in the target languages, each decoded from its own vector."""
    if not options.target_langs:
        return list(sentences)
    own = [each.text for each in sentences]
    vectors = codec.encode(own, options.source_lang)
    texts = decode_into(codec, options.target_langs, vectors, own, options)
    return [replace(each, texts=of) for each, of in zip(sentences, texts, strict=True)]

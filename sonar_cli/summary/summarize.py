"""The story of a summary: text -> sentences -> vectors -> the few that stand for all of them.

Extractive: sentences of the text. Abstractive: the predictor goes on after a cue, part by part
where the text is longer than it has learned to read. Hybrid: what it writes is held against what it
read, and a sentence with too little support gives way to one of the text.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sonar_cli.errors import InputError
from sonar_cli.model.codec.native import Codec
from sonar_cli.model.load import Model
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import GenerationOptions, Source, Summary, SummaryOptions, SummarySentence
from sonar_cli.pipeline import generate_many, in_order
from sonar_cli.summary.salience import choose, length_of, nearest, parts, salience, support
from sonar_cli.summary.vectors import Encoding, Vectors
from sonar_cli.text.documents import CANDIDATES, Passage

# A sentence that was written is held against so many of its nearest sources together; those are
# named that are at least so near as the nearest one, but not all of them.
_NEAREST = 5
_CITED = 3
_AS_NEAR = 0.75

_WORD = re.compile(r"\w+")

# How far reading has come: an offset in the text.
OnRead = Callable[[int], None]
Progress = Callable[[Sequence[range]], Iterable[range]]


class Document:
    """A text's sentences, compactly, and the vectors of those that a summary may take.

    Sentences are numbered by `index` as they stand in the text; those that may be taken are the
    `rows`, row r being sentence `rows[r]`.
    """

    def __init__(self, width: int) -> None:
        self.texts: list[str] = []
        self.starts, self.ends = array("q"), array("q")
        self.paragraphs, self.headings = array("q"), array("q")
        self.rows = array("q")
        self.vectors = Vectors(width)

    def __len__(self) -> int:
        """How many sentences a summary may take."""
        return len(self.rows)

    def add(self, passage: Passage) -> bool:
        """Add the next sentence; tell whether a summary may take it."""
        index = len(self.texts)
        heading = self.headings[-1] if index else -1
        self.texts.append(passage.text)
        self.starts.append(passage.start)
        self.ends.append(passage.end)
        self.paragraphs.append(passage.paragraph)
        self.headings.append(index if passage.kind == "heading" else heading)
        if passage.kind not in CANDIDATES:
            return False
        self.rows.append(index)
        return True

    def text(self, row: int) -> str:
        """Return a row's sentence."""
        return self.texts[self.rows[row]]

    def source(self, row: int, cosine: float) -> Source:
        """Name a row as a source."""
        index = self.rows[row]
        return Source(index, self.starts[index], self.ends[index], round(cosine, 4))

    def heading(self, row: int) -> str | None:
        """Return the heading that a row stands under."""
        heading = self.headings[self.rows[row]]
        return self.texts[heading] if heading >= 0 else None


def read(
    passages: Iterable[Passage], encoding: Encoding, on_read: OnRead | None = None
) -> Document:
    """Read and encode a text, sentence by sentence as it is split; memory holds no more than texts.

    A text that is nothing but headings, tables and the like is summed up from those. Raises
    InputError where there is no sentence at all.
    """
    document = Document(encoding.codec.width)
    _encode(document, (each.text for each in passages if document.add(each)), encoding, on_read)
    if not document.texts:
        raise InputError("there is no sentence in the text; nothing to sum up")
    if not document.rows:
        document.rows.extend(range(len(document.texts)))
        _encode(document, document.texts, encoding, on_read)
    return document


def summarize(
    document: Document,
    codec: Codec,
    predictor: Predictor | None,
    options: SummaryOptions,
    progress: Progress | None = None,
) -> Summary:
    """Sum up a document; `predictor` may be None for the extractive method.

    A text that is no longer than its summary comes back whole. `progress` may wrap the parts that
    the predictor reads one by one.

    >>> from sonar_cli.text.documents import passages
    >>> from sonar_cli.model.load import load_model
    >>> from sonar_cli.hub.store import resolve
    >>> model = load_model(resolve("mini"))
    >>> text = "Tom found a kite. It was stuck in a tree. Tom was sad."
    >>> document = read(passages(text), Encoding(model.codec, "eng_Latn"))
    >>> found = summarize(document, model.codec, None, SummaryOptions(sentences=1))
    >>> [source.index for source in found.sentences[0].sources]
    [1]
    """
    count = wanted(document, options)
    if len(document) <= count:
        sentences = [_taken(document, row) for row in range(len(document))]
    elif options.method == "extractive" or predictor is None:
        sentences = _extract(document, count)
    else:
        model = Model(codec, predictor)
        sentences = _abstract(document, model, count, options, progress)
        sentences = sentences or _extract(document, count)
    length = sum(length_of(document.text(row)) for row in range(len(document)))
    return Summary(tuple(_in_languages(sentences, codec, options)), len(document), length)


def wanted(document: Document, options: SummaryOptions) -> int:
    """Return how many sentences the summary may have, at least one."""
    if options.sentences is not None:
        return options.sentences
    # A tenth of 30 is 3, not the 4 that 3.0000000000000004 would be rounded up to.
    return max(1, math.ceil(round(options.share * len(document), 6)))


def reading_parts(document: Document, context: int) -> list[range]:
    """Return the rows that the predictor reads at once, part by part."""
    return parts([document.paragraphs[index] for index in document.rows], context)


def _encode(
    document: Document, texts: Iterable[str], encoding: Encoding, on_read: OnRead | None
) -> None:
    for _, vectors in encoding(texts):
        document.vectors.append(vectors)
        if on_read:
            on_read(document.ends[-1])


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


@dataclass(frozen=True)
class _Written:
    """A sentence that the predictor wrote, its vector (1, D), and the rows it leans on.

    `support` is `salience.support` by the nearest sentences of what it was written from, and 0 for
    one with a name or a number that none of those has.
    """

    text: str
    vector: Tensor
    rows: tuple[int, ...]
    cosines: tuple[float, ...]
    support: float


def _abstract(
    document: Document,
    model: Model,
    count: int,
    options: SummaryOptions,
    progress: Progress | None,
) -> list[SummarySentence]:
    """Let the predictor write; of more than `count` sentences choose those that stand for all.

    With the hybrid method those with too little support are left out before that, and what is then
    missing is made up for by sentences of the text, in the same places.
    """
    written = list(_write(document, model, count, options, progress))
    least = options.support if options.method == "hybrid" else -math.inf
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


def _write(
    document: Document,
    model: Model,
    count: int,
    options: SummaryOptions,
    progress: Progress | None,
) -> Iterator[_Written]:
    """Yield what the predictor writes of each part, without what it has written before."""
    of = reading_parts(document, options.context)
    cue = model.codec.encode([options.cue], options.source_lang).cpu()
    prompts = (
        torch.cat([document.vectors.take(part), cue]) for part in (progress(of) if progress else of)
    )
    how = GenerationOptions(
        sentences=count,
        source_lang=options.source_lang,
        begin=options.begin,
        beam_size=options.beam_size,
        max_tokens=options.max_tokens,
        stop_threshold=options.stop_threshold,
    )
    seen: set[str] = set()
    for number, step in in_order(generate_many(model, prompts, how, options.batch_size)):
        if step.text and step.text not in seen:
            seen.add(step.text)
            yield _supported(document, model.codec, step.text, of[number], options)


def _supported(
    document: Document, codec: Codec, text: str, part: range, options: SummaryOptions
) -> _Written:
    """Find what a written sentence leans on, in the part it was written from."""
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
    return _Written(text, vector, found, how_near, held)


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


def _chosen(written: Sequence[_Written], numbers: Sequence[int], count: int) -> list[int]:
    vectors = Vectors.of(torch.cat([each.vector for each in written]))
    rows = choose(vectors, salience(vectors, [length_of(each.text) for each in written]), count)
    return sorted(numbers[row] for row in rows)


def _cited(document: Document, written: _Written) -> SummarySentence:
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
    columns = [
        own
        if lang == options.source_lang
        else [e.text for e in codec.decode(vectors, lang, options.beam_size, options.max_tokens)]
        for lang in options.target_langs
    ]
    texts = zip(*columns, strict=True)
    return [replace(each, texts=of) for each, of in zip(sentences, texts, strict=True)]

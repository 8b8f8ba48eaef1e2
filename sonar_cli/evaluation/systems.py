"""Our ways of summarizing, as systems that `evaluation.summaries` compares with others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import get_args

from sonar_cli.evaluation.baselines import System
from sonar_cli.hub.store import Summarizer
from sonar_cli.model.load import Model
from sonar_cli.options import Method, SummaryOptions
from sonar_cli.summary.summarize import Document, read, summarize
from sonar_cli.summary.vectors import Encoding
from sonar_cli.text.documents import Passage


def ours(model: Model, summarizer: Summarizer | None) -> dict[str, System]:
    """Return a system for each method that a model knows."""
    if summarizer is None:
        return {"extractive": _system(model, SummaryOptions(method="extractive"))}
    options = SummaryOptions(
        cue=summarizer.cue, context=summarizer.context or SummaryOptions.context
    )
    return {method: _system(model, replace(options, method=method)) for method in get_args(Method)}


def _system(model: Model, options: SummaryOptions) -> System:
    encoding = Encoding(model.codec, options.source_lang)

    def system(
        stories: Sequence[Sequence[str]], counts: Sequence[int]
    ) -> Iterator[tuple[str, ...]]:
        for sentences, count in zip(stories, counts, strict=True):
            how = replace(options, sentences=count)
            document = _document(sentences, encoding)
            found = summarize(document, model.codec, model.predictor, how)
            yield tuple(each.text for each in found.sentences)

    return system


def _document(sentences: Sequence[str], encoding: Encoding) -> Document:
    """A text of these very sentences: nothing is split."""
    ends = [len(" ".join(sentences[: number + 1])) for number in range(len(sentences))]
    spans = zip(sentences, ends, strict=True)
    passages = (Passage(text, end - len(text), end, 0, "prose") for text, end in spans)
    return read(passages, encoding)

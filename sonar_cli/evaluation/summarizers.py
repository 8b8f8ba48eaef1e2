"""What summarizes texts to be compared: the type of all such functions, and our own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast, get_args

import torch
from torch import Tensor

from sonar_cli.hub.catalogue import SummaryTraining
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.systems.base import SUMMARY_CUE, System
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from sonar_cli.options import Method, SummaryOptions
from sonar_cli.summary.document import Document, read
from sonar_cli.summary.plan import CONTEXT, Plan
from sonar_cli.summary.summarize import summarize
from sonar_cli.summary.vectors import Encoding
from sonar_cli.text.documents import Passage

# summarizer(texts, counts) -> the texts' summaries, in order. A text and a summary are sentences;
# counts[i] is the most sentences that the summary of texts[i] may have.
Summarizer = Callable[[Sequence[Sequence[str]], Sequence[int]], Iterable[Sequence[str]]]
# The name of the extractive one with random vectors.
RANDOM = "extractive, random vectors"


def ours(
    codec: Codec, system: System | TokenLLMSystem, training: SummaryTraining | None
) -> dict[str, Summarizer]:
    """Return a summarizer for each method of `sonar-llm summarize` that a model knows.

    `codec` makes the vectors that sentences are chosen by and that written ones are held against.
    `training` is what the model was trained with to write summaries. Where it is None the model has
    not learned to, and "extractive" is the only method.
    """
    methods: tuple[Method, ...] = get_args(Method) if training else ("extractive",)
    return {method: _summarizer(codec, system, method, training) for method in methods}


def extractive(codec: Codec) -> dict[str, Summarizer]:
    """Return the summarizer that needs a codec alone, and the same with vectors drawn at random.

    What the second reaches as well, the codec has no part in.
    """
    return {
        name: _summarizer(own, None, "extractive", None)
        for name, own in (("extractive", codec), (RANDOM, cast("Codec", _RandomVectors(codec))))
    }


class _RandomVectors:
    """A codec that encodes any sentence as numbers from a normal distribution."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._random = torch.Generator().manual_seed(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codec, name)

    def encode(self, sentences: Sequence[str], *_: object, **__: object) -> Tensor:
        """Return vectors (N, D) for N sentences."""
        return torch.randn(len(sentences), self._codec.width, generator=self._random)


def _summarizer(
    codec: Codec,
    system: System | TokenLLMSystem | None,
    method: Method,
    training: SummaryTraining | None,
) -> Summarizer:
    options = SummaryOptions()
    encoding = Encoding(codec, options.source_lang)
    cue = (training.cue if training else None) or SUMMARY_CUE
    context = (training.context if training else None) or CONTEXT

    def summaries(
        texts: Sequence[Sequence[str]], counts: Sequence[int]
    ) -> Iterator[tuple[str, ...]]:
        for sentences, count in zip(texts, counts, strict=True):
            plan = Plan(method, count, cue, context)
            document = _document(sentences, encoding)
            found = summarize(document, codec, system, plan, options)
            yield tuple(each.text for each in found.sentences)

    return summaries


def _document(sentences: Sequence[str], encoding: Encoding) -> Document:
    """Return a text's sentences as they are, without splitting them again, with their vectors."""
    ends = [len(" ".join(sentences[: number + 1])) for number in range(len(sentences))]
    spans = zip(sentences, ends, strict=True)
    passages = (Passage(text, end - len(text), end, 0, "prose") for text, end in spans)
    return read(passages, encoding)

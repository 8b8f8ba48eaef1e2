"""What a number format costs: a model in it, beside the same model in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.measures import measure, report
from sonar_cli.evaluation.metrics import share
from sonar_cli.evaluation.report import Record, Report
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.systems.base import System
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.options import ENGLISH

# Texts whose sentences are encoded and decoded together.
_TOGETHER = 10

# Texts, each as its sentences.
Texts = Iterable[Sequence[str]]


@torch.inference_mode()
def run(
    exact: System,
    other: System,
    texts: Texts,
    lang: str = ENGLISH,
    progress: Callable[[Texts], Texts] | None = None,
) -> Report:
    """Compare `other` with `exact`, the same SONAR-LLM in float32, on texts; report six measures.

    Each part is compared alone, both models being given the same input. Encoders: the cosine of
    their vectors of a sentence. Predictors: the cosine of their next vectors after a sentence,
    given the vectors that `exact` made of the text so far. Decoders: whether they write the same
    sentence from the same vector. Last, predictor and decoder together: whether they write the
    same next sentence. `progress` may wrap the texts, to show how many are done.

    Raises UsageError for a system that is no SONAR-LLM.
    """
    predictors = _predictor(exact), _predictor(other)
    encoded: list[Tensor] = []
    predicted: list[Tensor] = []
    same_back: list[bool] = []
    same_next: list[bool] = []
    waiting = iter(progress(texts) if progress else texts)
    while together := list(islice(waiting, _TOGETHER)):
        sentences = [sentence for text in together for sentence in text]
        vectors = exact.codec.encode(sentences, lang)  # (N, D)
        encoded.append(F.cosine_similarity(vectors, other.codec.encode(sentences, lang).float()))
        parts = vectors.split([len(text) for text in together])
        wanted, found = (torch.cat([_next(each, part) for part in parts]) for each in predictors)
        predicted.append(F.cosine_similarity(wanted, found))
        same_back += _same(exact.codec, vectors, other.codec, vectors, lang)
        same_next += _same(exact.codec, wanted, other.codec, found, lang)
    return report(
        [
            *_cosines("a sentence's vector", torch.cat(encoded)),
            *_cosines("the predicted vector", torch.cat(predicted)),
            measure("the same sentence from the same vector", share(same_back), len(same_back)),
            measure("the same next sentence", share(same_next), len(same_next)),
        ]
    )


def _predictor(system: System) -> Predictor:
    if not isinstance(system, SonarLLMSystem):
        raise UsageError("only a SONAR-LLM is compared in several number formats")
    return system.predictor


def _next(predictor: Predictor, vectors: Tensor) -> Tensor:
    """A text's vectors (T, D) -> the next vector after each of them (T, D), float32."""
    predicted: Tensor = predictor(vectors.to(predictor.dtype).unsqueeze(0))[0]
    return predicted.float()


def _same(exact: Codec, ours: Tensor, other: Codec, theirs: Tensor, lang: str) -> list[bool]:
    """Tell of each row whether both codecs write the same, `exact` from `ours` (N, D)."""
    wanted, found = exact.decode(ours, lang), other.decode(theirs, lang)
    return [a.text == b.text for a, b in zip(wanted, found, strict=True)]


def _cosines(name: str, values: Tensor) -> list[Record]:
    return [
        measure(f"cosine of {name}, mean", float(values.mean()), len(values), is_share=False),
        measure(f"cosine of {name}, least", float(values.min()), len(values), is_share=False),
    ]

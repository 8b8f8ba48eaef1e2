"""What another number format costs: a model in it beside the same model in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.evaluation.metrics import share
from sonar_cli.evaluation.report import Row
from sonar_cli.model.load import Model

# Texts whose sentences are encoded and decoded together.
_TOGETHER = 10

Texts = Iterable[Sequence[str]]


@torch.inference_mode()
def run(
    exact: Model,
    other: Model,
    texts: Texts,
    lang: str = "eng_Latn",
    progress: Callable[[Texts], Texts] | None = None,
) -> list[Row]:
    """Compare `other` to `exact` on texts, each its sentences; one row a measure.

    Encoder and predictor are compared by the cosine of their vectors, given the same input; the
    decoder by the sentences it writes from the same vectors, those of the texts and those that the
    predictor writes next.
    """
    encoded: list[Tensor] = []
    predicted: list[Tensor] = []
    same_back: list[bool] = []
    same_next: list[bool] = []
    waiting = iter(progress(texts) if progress else texts)
    while together := list(islice(waiting, _TOGETHER)):
        sentences = [sentence for text in together for sentence in text]
        vectors = exact.codec.encode(sentences, lang)
        encoded.append(F.cosine_similarity(vectors, other.codec.encode(sentences, lang).float()))
        parts = vectors.split([len(text) for text in together])
        wanted = torch.cat([_next(exact, part) for part in parts])
        found = torch.cat([_next(other, part) for part in parts])
        predicted.append(F.cosine_similarity(wanted, found))
        same_back += _same(exact, vectors, other, vectors, lang)
        same_next += _same(exact, wanted, other, found, lang)
    return [
        *_cosines("a sentence's vector", torch.cat(encoded)),
        *_cosines("the predicted vector", torch.cat(predicted)),
        Row("the same sentence from the same vector", share(same_back), len(same_back)),
        Row("the same next sentence", share(same_next), len(same_next)),
    ]


def _next(model: Model, vectors: Tensor) -> Tensor:
    """Sentences' vectors (T, D) -> the next vector after each of them (T, D), float32."""
    predicted: Tensor = model.predictor(vectors.to(model.predictor.dtype).unsqueeze(0))[0]
    return predicted.float()


def _same(exact: Model, ours: Tensor, other: Model, theirs: Tensor, lang: str) -> list[bool]:
    wanted, found = exact.codec.decode(ours, lang), other.codec.decode(theirs, lang)
    return [a.text == b.text for a, b in zip(wanted, found, strict=True)]


def _cosines(name: str, values: Tensor) -> list[Row]:
    return [
        Row(f"cosine of {name}, mean", float(values.mean()), len(values), is_share=False),
        Row(f"cosine of {name}, least", float(values.min()), len(values), is_share=False),
    ]

"""Embeddings: texts -> sentences -> vectors -> a vector a text.

SONAR's vectors are of sentences. A text of one sentence has its vector, a longer one the mean of
its sentences' vectors.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sonar_cli.api import SonarLLM
from sonar_cli.errors import UsageError
from sonar_cli.serve.jobs import Work
from sonar_cli.serve.messages import Embedding

if TYPE_CHECKING:
    from torch import Tensor

# Sentences that are encoded at a time; then the texts that are written have a turn.
_PIECE = 64


@dataclass(frozen=True)
class Embedded:
    """A text's sentences, and their vectors (T, D) float32."""

    sentences: Sequence[str]
    vectors: Tensor
    tokens: int


def embed(texts: Sequence[str], lang: str) -> Work:
    """Return the work of embedding texts, a piece of the sentences at a time.

    It comes to a list of Embedded. Raises UsageError for a text without sentences.
    """

    def work(llm: SonarLLM) -> Generator[None, None, list[Embedded]]:
        import torch

        found = []
        for number, text in enumerate(texts):
            found.append(llm.sentences(text, lang))
            if not found[-1]:
                raise UsageError(f"there is no sentence in input {number}")
            yield
        every = [sentence for sentences in found for sentence in sentences]
        vectors = []
        for start in range(0, len(every), _PIECE):
            vectors.append(llm.encode(every[start : start + _PIECE], lang))
            yield
        parts = torch.cat(vectors).split([len(each) for each in found])
        return [
            Embedded(each, part, sum(map(llm.count_tokens, each)))
            for each, part in zip(found, parts, strict=True)
        ]

    return work


def answer(asked: Embedding, found: Sequence[Embedded], model: str) -> dict[str, Any]:
    """Return OpenAI's JSON for embedded texts."""
    data = []
    for index, each in enumerate(found):
        vector = _written(each.vectors.mean(0), asked.encoding_format)
        own = {"object": "embedding", "index": index, "embedding": vector}
        if asked.sentences:
            own["sentences"] = [
                {"text": text, "embedding": _written(row, asked.encoding_format)}
                for text, row in zip(each.sentences, each.vectors, strict=True)
            ]
        data.append(own)
    tokens = sum(each.tokens for each in found)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _written(vector: Tensor, encoding_format: str) -> list[float] | str:
    """Return a vector (D,) as numbers, or as base64 of float32 in little-endian order."""
    if encoding_format == "float":
        numbers: list[float] = vector.tolist()
        return numbers
    return base64.b64encode(vector.numpy().astype("<f4").tobytes()).decode()

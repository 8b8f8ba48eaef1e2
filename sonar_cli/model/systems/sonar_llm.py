"""SONAR-LLM: a Llama over sentence vectors instead of tokens.

Source: arXiv 2508.05305 and the authors' code: `forward_proj`, the layers of transformers'
LlamaModel, `reverse_proj`. A Llama reads token embeddings; this one reads projected vectors, so
the vocabulary embedding and `lm_head` of the published files are never used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.finite import require_finite
from sonar_cli.model.shapes import PredictorConfig
from sonar_cli.model.systems.base import BEGIN_SENTENCE, END_SENTENCE
from sonar_cli.model.systems.llama import KVCache, Llama
from sonar_cli.model.systems.state import TextsState
from sonar_cli.options import GenerationOptions, StopReason

# The cosine to the end sentence's vector from which a text ends.
STOP_THRESHOLD = 0.98


class Predictor(Llama):
    """Predicts, at every position, the next sentence's vector from the vectors so far."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__(config)
        self.config = config
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.reverse_proj = nn.Linear(config.hidden, config.embed_dim)

    def forward(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the next vectors (B, T, D) after vectors (B, T, D) that follow the cache."""
        result: Tensor = self.reverse_proj(self.hidden(vectors, cache))
        return result

    def hidden(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the hidden states (B, T, hidden), after the final norm, of vectors (B, T, D)."""
        return self.run(self.forward_proj(vectors), cache)


class SonarLLMSystem:
    """A codec and a SONAR-LLM predictor of the codec's width."""

    def __init__(self, codec: Codec, predictor: Predictor) -> None:
        self.codec = codec
        self.predictor = predictor

    def start(self, options: GenerationOptions) -> SonarLLMState:
        """Return a state without texts."""
        return SonarLLMState(self.codec, self.predictor, options)


class SonarLLMState(TextsState):
    """Texts that a SONAR-LLM writes; by default it reads its sentences, encoded again."""

    def __init__(self, codec: Codec, predictor: Predictor, options: GenerationOptions) -> None:
        begin = predictor.config.add_begin if options.begin is None else options.begin
        super().__init__(
            codec,
            predictor,
            options,
            "sentence",
            END_SENTENCE,
            BEGIN_SENTENCE if begin else None,
            predictor.config.drawing,
        )
        self.predictor = predictor

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Return the predicted vectors (B * K, D) float32."""
        predicted: Tensor = self.predictor.reverse_proj(self.candidates(random))
        return require_finite(predicted.float(), self.predictor, "vectors")

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        """End at a vector close to the end sentence's or, if asked for, to one of those written."""
        options = self.options
        if to_end >= (STOP_THRESHOLD if options.stop_threshold is None else options.stop_threshold):
            return "end"
        limit = options.repeat_threshold
        if limit is not None and any(
            float(F.cosine_similarity(new, old)) >= limit for old in written
        ):
            return "repetition"
        return None

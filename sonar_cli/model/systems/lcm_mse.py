"""Base-LCM: a causal transformer that predicts the next sentence's vector by regression.

Source: Large Concept Models, arXiv 2412.08821, and Meta's `base_lcm`: normalize, project, layers
with rotary positions and SwiGLU, a final RMSNorm, project back, denormalize.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.finite import require_finite
from sonar_cli.model.shapes import LCMConfig
from sonar_cli.model.systems.llama import KVCache, Llama
from sonar_cli.model.systems.scaler import RobustScaler
from sonar_cli.model.systems.state import LCM_END, TextsState, lcm_stop
from sonar_cli.options import GenerationOptions, StopReason


class BaseLCM(Llama):
    """Predicts, at every position, the next sentence's vector from the vectors so far."""

    def __init__(self, config: LCMConfig) -> None:
        super().__init__(config)
        self.config = config
        self.scaler = RobustScaler(config.embed_dim)
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.reverse_proj = nn.Linear(config.hidden, config.embed_dim)

    def forward(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the next vectors (B, T, D) after vectors (B, T, D) that follow the cache."""
        return self.predict(self.hidden(vectors, cache))

    def hidden(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the hidden states (B, T, hidden), after the final norm, of vectors (B, T, D)."""
        return self.run(self.forward_proj(self.scaler.normalize(vectors)), cache)

    def predict(self, hidden: Tensor) -> Tensor:
        """Return the vectors (..., D) that hidden states (..., hidden) predict."""
        return self.scaler.denormalize(self.reverse_proj(hidden))

    def errors(self, vectors: Tensor, mask: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the squared errors of the next vectors (errors,), in normalized space.

        Vectors are (B, T, D), mask (B, T) bool is True where there is a sentence. `targets`
        (B, T, D) are what the vectors before each place should predict there; None for the vectors
        themselves. There is an error for every sentence but a text's first. It is a sum over D;
        training minimizes their mean.
        """
        wanted = self.scaler.normalize((vectors if targets is None else targets)[:, 1:])
        found = self.reverse_proj(self.hidden(vectors[:, :-1]))
        return (found - wanted).square().sum(-1)[mask[:, 1:]]


class LCMMSESystem:
    """A codec and a Base-LCM of the codec's width."""

    def __init__(self, codec: Codec, model: BaseLCM) -> None:
        self.codec = codec
        self.model = model

    def start(self, options: GenerationOptions) -> LCMMSEState:
        """Return a state without texts."""
        return LCMMSEState(self.codec, self.model, options)


class LCMMSEState(TextsState):
    """Texts that a Base-LCM writes; by default it reads its predicted vectors as they are."""

    def __init__(self, codec: Codec, model: BaseLCM, options: GenerationOptions) -> None:
        super().__init__(codec, model, options, "vector", LCM_END)
        self.model = model

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Return the predicted vectors (B * K, D), from noisy hidden states above temperature 0."""
        predicted = self.model.predict(self.candidates(random)).float()
        return require_finite(predicted, self.model, "vectors")

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        """End as the Large Concept Models do; see `lcm_stop`."""
        return lcm_stop(new, to_end, written, self.options)

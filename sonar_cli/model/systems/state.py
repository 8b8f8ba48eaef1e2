"""A batch of texts that a causal network with a cache reads: shared by all vector systems."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from sonar_cli.model.codec.base import Codec, OnTruncated
from sonar_cli.model.systems.base import Feedback, Prompt
from sonar_cli.model.systems.llama import KVCache
from sonar_cli.options import PLAIN, Drawing, GenerationOptions, StopReason

# The sentence that ends a text of a Large Concept Model, and the cosine from which a text ends.
LCM_END = "End of text."
LCM_THRESHOLD = 0.9


class VectorStack(Protocol):
    """A causal network that reads sentence vectors."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the vectors that it reads."""

    def new_cache(self) -> KVCache:
        """Return an empty cache for one batch of texts."""

    def hidden(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the hidden states (B, T, hidden) of vectors (B, T, D) that follow the cache."""


class TextsState:
    """The part of a `State` that opens, reads and drops texts.

    `hidden` holds each text's hidden state (1, hidden) at its last sentence. `begin` is a sentence
    that is put before every text, `end` the one that ends a text; as an attribute, `end` is that
    sentence's vector (1, D). `drawing` is the model's own; as an attribute, what the options make
    of it.
    """

    def __init__(
        self,
        codec: Codec,
        stack: VectorStack,
        options: GenerationOptions,
        feeds_back: Feedback,
        end: str,
        begin: str | None = None,
        drawing: Drawing = PLAIN,
    ) -> None:
        self.codec = codec
        self.options = options
        self.drawing = options.drawing(drawing)
        self.feeds_back: Feedback = feeds_back
        if options.reencode is not None:
            self.feeds_back = "sentence" if options.reencode else "vector"
        self.end = codec.encode([end], options.source_lang)
        self.hidden: list[Tensor] = []
        self._begin = [begin] if begin is not None else []
        self._stack = stack
        self._cache = stack.new_cache()

    def open(self, texts: Sequence[Prompt], on_truncated: OnTruncated | None = None) -> None:
        """Encode new texts together and read each. Raises ValueError for one without vectors."""
        for vectors in self._encode(texts, on_truncated):
            if not len(vectors):
                raise ValueError("there is no sentence to continue")
            own = self._stack.new_cache()
            hidden = self._stack.hidden(vectors.to(self._stack.dtype).unsqueeze(0), own)
            self._cache.put(len(self.hidden), own)
            self.hidden.append(hidden[0, -1:])
            self.opened(hidden[0])

    def read(self, vectors: Tensor) -> None:
        """Read the next vector of each text, vectors (B, D)."""
        new = vectors.to(self._stack.dtype).unsqueeze(1)  # (B, 1, D)
        self.hidden = list(self._stack.hidden(new, self._cache).unbind())
        self.went_on(self.hidden)

    def keep(self, rows: list[int]) -> None:
        """Drop all texts but these rows."""
        self._cache.keep(rows)
        self.hidden = [self.hidden[row] for row in rows]

    def candidates(self, random: Sequence[torch.Generator]) -> Tensor:
        """Return K noisy copies of each text's hidden state, (B * K, hidden).

        At temperature 0 they have no noise.
        """
        count, temperature = self.drawing.candidates, self.drawing.temperature
        if temperature == 0:
            return torch.cat(self.hidden).repeat_interleave(count, dim=0)
        return torch.cat(
            [
                perturb(hidden.expand(count, -1), temperature, generator)
                for hidden, generator in zip(self.hidden, random, strict=True)
            ]
        )

    def opened(self, hidden: Tensor) -> None:
        """Handle a new text's hidden states (T, hidden); a subclass may keep them."""

    def went_on(self, hidden: Sequence[Tensor]) -> None:
        """Handle each text's next hidden state (1, hidden); a subclass may keep them."""

    def _encode(self, texts: Sequence[Prompt], on_truncated: OnTruncated | None) -> list[Tensor]:
        """Return each text's vectors (T, D), with the begin sentence's in front if there is one."""
        sentences = [[] if isinstance(text, Tensor) else list(text) for text in texts]
        opening, *parts = self.codec.encode(
            [*self._begin, *chain.from_iterable(sentences)],
            self.options.source_lang,
            on_truncated=on_truncated,
        ).split([len(self._begin), *map(len, sentences)])
        return [
            torch.cat([opening, text.to(part) if isinstance(text, Tensor) else part])
            for text, part in zip(texts, parts, strict=True)
        ]


def perturb(hidden: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Move hidden states (N, hidden) in a random direction by `temperature` times their RMS.

    The direction is normal noise scaled to length 1, as in the authors' sampling. It is drawn on
    the CPU, so that a seed gives the same noise on every device.
    """
    noise = torch.randn(hidden.shape, generator=generator, dtype=torch.float32).to(hidden.device)
    noise = noise / (noise.norm(dim=-1, keepdim=True) + 1e-12)
    rms = hidden.float().square().mean(-1, keepdim=True).sqrt()
    return (hidden.float() + temperature * rms * noise).to(hidden.dtype)


def lcm_stop(
    new: Tensor, to_end: float, written: Sequence[Tensor], options: GenerationOptions
) -> StopReason | None:
    """Return why a Large Concept Model ends a text before its `new` vector (1, D), or None.

    A text ends if the cosine of the new vector to the end sentence's (`to_end`) or to the vector
    before is at least 0.9, or the threshold in the options. The first written sentence never ends a
    text. Source: Meta's LCMGenerator with the thresholds of arXiv 2412.08821.
    """
    if not written:
        return None
    if to_end >= (LCM_THRESHOLD if options.stop_threshold is None else options.stop_threshold):
        return "end"
    limit = LCM_THRESHOLD if options.repeat_threshold is None else options.repeat_threshold
    return "repetition" if float(F.cosine_similarity(new, written[-1])) >= limit else None

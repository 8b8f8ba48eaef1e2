"""The interface of a system, which reads a text's sentence vectors and predicts the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec, OnTruncated
from sonar_cli.options import Drawing, GenerationOptions, StopReason

# The sentence that ends every text of a SONAR-LLM.
END_SENTENCE = "End of sequence."
# The sentence that begins its texts, if it was trained so.
BEGIN_SENTENCE = "Begin of text."
# The sentence that asks a predictor for a summary of the sentences before it.
SUMMARY_CUE = "Summary of the text."

# A text's sentences, or their vectors (T, D) if they are encoded already.
Prompt = Sequence[str] | Tensor
# What a system reads next: the vector of the decoded sentence, or the predicted vector itself.
Feedback = Literal["sentence", "vector"]


class State(Protocol):
    """The texts that a system is writing in one batch: row r of every tensor is text r.

    `feeds_back` tells what the system reads next, `drawing` how sentences are drawn. `end` (1, D)
    is the vector of the sentence that ends a text.
    """

    feeds_back: Feedback
    drawing: Drawing
    end: Tensor

    def open(self, texts: Sequence[Prompt], on_truncated: OnTruncated | None = None) -> None:
        """Read new texts as further rows. Raises ValueError for a text without sentences."""

    def read(self, vectors: Tensor) -> None:
        """Read the next vector of each text, vectors (B, D)."""

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Return K candidates for the next vector of each text, (B * K, D) float32, text by text.

        `random` has one generator per text, so that the draws for a text do not depend on the
        others in the batch.
        """

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        """Return why a text ends before its `new` vector (1, D), or None if it goes on.

        `to_end` is the cosine of the new vector to `end`; `written` are the vectors (1, D) that
        were generated so far.
        """

    def keep(self, rows: list[int]) -> None:
        """Drop all texts but these rows."""


class System(Protocol):
    """A codec and a network that predicts vectors in its space."""

    @property
    def codec(self) -> Codec:
        """The codec that turns sentences into vectors and back."""

    def start(self, options: GenerationOptions) -> State:
        """Return a state without texts, for writing texts with these options."""

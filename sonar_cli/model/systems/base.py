"""What a system is: it reads the vectors of a text's sentences and proposes the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Codec, OnTruncated
from sonar_cli.options import GenerationOptions, StopReason

# The sentence after which a SONAR-LLM's text has ended, and the one that may begin it.
END_SENTENCE = "End of sequence."
BEGIN_SENTENCE = "Begin of text."
# What asks a predictor that has learned it for a summary of the sentences before.
SUMMARY_CUE = "Summary of the text."

# A text's sentences, or their vectors (T, D) where it is encoded already.
Prompt = Sequence[str] | Tensor
# What goes on after a sentence was decoded: its own vector, or the one it was decoded from.
Feedback = Literal["sentence", "vector"]


class State(Protocol):
    """Texts that a system is writing side by side: row r of every batch is text r.

    `end` (1, D) is the vector of the sentence that ends a text.
    """

    feeds_back: Feedback
    end: Tensor

    def open(self, texts: Sequence[Prompt], on_truncated: OnTruncated | None = None) -> None:
        """Read new texts whole, as further rows. ValueError for one without a sentence."""

    def read(self, vectors: Tensor) -> None:
        """Read the next vector (B, D) of every text."""

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Return the next vectors (B * K, D) float32, K candidates a text, text by text.

        `random` has a generator for each text, so that what is drawn for one does not depend on
        its neighbours.
        """

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        """Tell whether a text ends before its new vector (1, D), given those it has written.

        `to_end` is the new vector's cosine to `end`.
        """

    def keep(self, rows: list[int]) -> None:
        """Drop all texts but these."""


class System(Protocol):
    """A codec and what predicts in its space."""

    @property
    def codec(self) -> Codec:
        """What turns sentences into vectors and back."""

    def start(self, options: GenerationOptions) -> State:
        """Return a state without any text, to write texts by these options."""

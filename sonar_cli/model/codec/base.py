"""The interface of a codec, which turns sentences into vectors and vectors into sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sonar_cli.errors import InputError, UsageError
from sonar_cli.model.codec.tokenizer import EOS, Tokenizer
from sonar_cli.model.sampling import Sampling
from sonar_cli.options import GenerationOptions, SummaryOptions

# Called with the number of sentences that were too long for the encoder and were cut.
OnTruncated = Callable[[int], None]


@dataclass(frozen=True)
class Decoded:
    """The sentence that a vector was decoded to.

    `ids` are its tokens after the language token, eos included. `score` is the mean log-probability
    (natural logarithm) per token, language token and eos included. `spelling` is the
    log-probability of the least likely piece within a word of a sentence that was drawn, 0 where
    there is none (see `Tokenizer.spelling`).
    """

    text: str
    ids: tuple[int, ...]
    score: float
    spelling: float = 0.0

    @property
    def rank(self) -> tuple[float, float]:
        """What drawn sentences are compared by: whether they are spelled well, then the score."""
        return min(self.spelling, _SPELLED), self.score


# A sentence is spelled well if no piece within a word was less likely (log-probability) than this.
_SPELLED = math.log(0.3)


class Codec(Protocol):
    """A SONAR encoder, decoder and tokenizer: a `NativeCodec` or a `SonarSpaceCodec`."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of both the encoder and the decoder."""

    @property
    def width(self) -> int:
        """The size D of a sentence vector."""

    @property
    def max_len(self) -> int:
        """The most tokens of a sentence that the encoder reads, language token and eos included."""

    @property
    def device(self) -> torch.device:
        """The device of the encoder and the decoder."""

    def encode(
        self,
        sentences: Sequence[str],
        lang: str = "eng_Latn",
        batch_size: int = 32,
        on_truncated: OnTruncated | None = None,
    ) -> Tensor:
        """Return the vectors (N, D) of N sentences in order, float32 on the codec's device.

        Sentences of more than `max_len` tokens are cut; `on_truncated` is then called once with
        their number. Raises UsageError for an unknown language.
        """

    def decode(
        self,
        vectors: Tensor,
        lang: str = "eng_Latn",
        beam_size: int = 5,
        max_tokens: int = 256,
        batch_size: int = 32,
        sampling: Sampling | None = None,
    ) -> list[Decoded]:
        """Return the most likely sentence of each vector (N, D).

        With `sampling`, which has a generator a vector, a sentence of each vector is drawn instead,
        token by token, and `beam_size` is of no use.

        `max_tokens` counts eos, the language token, the pieces and the final eos; the decoder's own
        limit caps it. Raises UsageError for an unknown language, a `max_tokens` below 3 or a codec
        that draws nothing, and InputError for vectors of another width or with values that are not
        finite.
        """


def source_ids(
    codec: Codec, sentences: Sequence[str], lang: str, on_truncated: OnTruncated | None
) -> list[list[int]]:
    """Return each sentence's input ids for the encoder, cut as `Codec.encode` describes."""
    ids = [codec.tokenizer.source(sentence, lang) for sentence in sentences]
    if on_truncated and (cut := sum(len(row) > codec.max_len for row in ids)):
        on_truncated(cut)
    return [row[: codec.max_len] for row in ids]


def prefix_ids(codec: Codec, lang: str, max_tokens: int) -> Tensor:
    """Return the prefix of every decoded sentence: ids (2,) int64 of eos and the language token.

    Raises UsageError for an unknown language or a `max_tokens` below 3.
    """
    prefix = [EOS, codec.tokenizer.lang_id(lang)]
    if max_tokens <= len(prefix):
        raise UsageError(f"--max-tokens must be at least {len(prefix) + 1}, not {max_tokens}")
    return torch.tensor(prefix, device=codec.device)


def check_vectors(codec: Codec, vectors: Tensor) -> None:
    """Raise InputError if vectors are not (N, D), or if their lengths are not finite."""
    if vectors.ndim != 2 or vectors.shape[1] != codec.width:
        raise InputError(
            f"vectors of shape {tuple(vectors.shape)} do not fit this codec, which takes "
            f"(N, {codec.width}); use the model that made them"
        )
    if not vectors.float().square().sum(1).isfinite().all():
        raise InputError("the vectors hold NaN or infinite values; encode the text again")


def decode_into(
    codec: Codec,
    langs: Sequence[str],
    vectors: Tensor,
    own: Sequence[str],
    options: GenerationOptions | SummaryOptions,
) -> list[tuple[str, ...]]:
    """Decode vectors (N, D) into all of `langs`; return N tuples with one text per language.

    `own` are the N sentences in the options' `source_lang`, which need no decoding.
    """
    columns = [
        own
        if lang == options.source_lang
        else [e.text for e in codec.decode(vectors, lang, options.beam_size, options.max_tokens)]
        for lang in langs
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(own)

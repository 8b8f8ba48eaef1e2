"""What a codec is: sentences to vectors and vectors to sentences, whoever computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from sonar_cli.errors import UsageError
from sonar_cli.model.codec.tokenizer import EOS, Tokenizer
from sonar_cli.options import GenerationOptions, SummaryOptions

# Told how many sentences were too long for the encoder and were cut.
OnTruncated = Callable[[int], None]


@dataclass(frozen=True)
class Decoded:
    """A decoded vector: its text, its token ids after the language (eos included), its score.

    `score` is the mean log-probability a token, language token and eos included.
    """

    text: str
    ids: tuple[int, ...]
    score: float


class Codec(Protocol):
    """A SONAR encoder, decoder and tokenizer; ours and sonar-space's are such."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to token ids and back."""

    @property
    def width(self) -> int:
        """The sentence vector's size D."""

    @property
    def max_len(self) -> int:
        """The most tokens that the encoder reads of a sentence, language and eos included."""

    @property
    def device(self) -> torch.device:
        """Where the models are."""

    def encode(
        self,
        sentences: Sequence[str],
        lang: str = "eng_Latn",
        batch_size: int = 32,
        on_truncated: OnTruncated | None = None,
    ) -> Tensor:
        """Return the sentences' vectors (N, D), float32 on the codec's device, in their order.

        Sentences longer than `max_len` tokens are cut; `on_truncated` is then called once with
        their number. Raises UsageError for an unknown language.
        """

    def decode(
        self,
        vectors: Tensor,
        lang: str = "eng_Latn",
        beam_size: int = 5,
        max_tokens: int = 256,
        batch_size: int = 32,
    ) -> list[Decoded]:
        """Return the most likely sentence of each vector (N, D).

        `max_tokens` counts the two prefix tokens and eos; the decoder's own limit caps it. Raises
        UsageError for an unknown language or a `max_tokens` below 3, InputError for vectors of
        another width or with values that are not finite.
        """


def source_ids(
    codec: Codec, sentences: Sequence[str], lang: str, on_truncated: OnTruncated | None
) -> list[list[int]]:
    """Return the encoder's input ids of sentences, cut to the codec's `max_len`; see `encode`."""
    ids = [codec.tokenizer.source(sentence, lang) for sentence in sentences]
    if on_truncated and (cut := sum(len(row) > codec.max_len for row in ids)):
        on_truncated(cut)
    return [row[: codec.max_len] for row in ids]


def prefix_ids(codec: Codec, lang: str, max_tokens: int) -> Tensor:
    """Return the ids (2,) that a decoded sentence begins with: end token, language token.

    Raises UsageError for an unknown language, and for a `max_tokens` that leaves no room for more.
    """
    prefix = [EOS, codec.tokenizer.lang_id(lang)]
    if max_tokens <= len(prefix):
        raise UsageError(f"--max-tokens must be at least {len(prefix) + 1}, not {max_tokens}")
    return torch.tensor(prefix, device=codec.device)


def decode_into(
    codec: Codec,
    langs: Sequence[str],
    vectors: Tensor,
    own: Sequence[str],
    options: GenerationOptions | SummaryOptions,
) -> list[tuple[str, ...]]:
    """Decode vectors (N, D) into several languages: for each, its texts in the order of `langs`.

    In the options' `source_lang` the sentences are there already: `own` (N).
    """
    columns = [
        own
        if lang == options.source_lang
        else [e.text for e in codec.decode(vectors, lang, options.beam_size, options.max_tokens)]
        for lang in langs
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(own)

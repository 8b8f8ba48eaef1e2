"""The codec: sentences to vectors and vectors to sentences, in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sonar_cli.errors import InputError, UsageError
from sonar_cli.model.codec.beam import Hypothesis, beam_search
from sonar_cli.model.codec.decoder import DecoderState, TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.graph import StaticSearch
from sonar_cli.model.codec.tokenizer import EOS, PAD, Tokenizer


@dataclass(frozen=True)
class Decoded:
    """A decoded vector: its text, its token ids after the language (eos included), its score.

    `score` is the mean log-probability a token, language token and eos included.
    """

    text: str
    ids: tuple[int, ...]
    score: float


class Codec:
    """SONAR's encoder, decoder and tokenizer together.

    >>> from sonar_cli.model.load import load_codec
    >>> from sonar_cli.hub.store import resolve
    >>> mini = resolve("mini")
    >>> codec = load_codec(mini.encoder, mini.decoder, mini.tokenizer)
    >>> vectors = codec.encode(["One day Lily found a kite."])
    >>> codec.decode(vectors)[0].text
    'One day Lily found a kite.'
    """

    def __init__(self, encoder: TextEncoder, decoder: TextDecoder, tokenizer: Tokenizer) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.tokenizer = tokenizer
        self._searches: dict[tuple[int, int, int], StaticSearch] = {}

    @property
    def width(self) -> int:
        """The sentence vector's size D."""
        return self.encoder.config.width

    @property
    def max_len(self) -> int:
        """The most tokens that the encoder reads of a sentence, language and eos included."""
        return self.encoder.config.max_len

    @property
    def languages(self) -> tuple[str, ...]:
        """FLORES-200 codes that can be encoded and decoded."""
        return self.tokenizer.languages

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.encoder.embed.weight.device

    @torch.inference_mode()
    def encode(
        self,
        sentences: Sequence[str],
        lang: str = "eng_Latn",
        batch_size: int = 32,
        on_truncated: Callable[[int], None] | None = None,
    ) -> Tensor:
        """Return the sentences' vectors (N, D), float32 on the codec's device, in their order.

        Sentences longer than the encoder's limit are cut; `on_truncated` is then called once with
        their number. Raises UsageError for an unknown language.
        """
        limit = self.encoder.config.max_len
        ids = [self.tokenizer.source(sentence, lang) for sentence in sentences]
        if on_truncated and (cut := sum(len(row) > limit for row in ids)):
            on_truncated(cut)
        ids = [row[:limit] for row in ids]
        # Neighbours in length share a batch, so that little of it is padding.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        vectors = torch.empty(len(ids), self.width, device=self.device)
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            vectors[batch] = self._encode_batch([ids[i] for i in batch]).float()
        return vectors

    @torch.inference_mode()
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
        prefix = torch.tensor([EOS, self.tokenizer.lang_id(lang)], device=self.device)
        self._check(vectors)
        if max_tokens <= len(prefix):
            raise UsageError(f"--max-tokens must be at least {len(prefix) + 1}, not {max_tokens}")
        vectors = vectors.to(self.device, self.decoder.embed.weight.dtype)
        decoded: list[Decoded] = []
        for batch in vectors.split(batch_size):
            best = [found[0] for found in self._search(batch, prefix, beam_size, max_tokens)]
            decoded += [Decoded(self.tokenizer.decode(h.ids), h.ids, h.score) for h in best]
        return decoded

    def _encode_batch(self, ids: list[list[int]]) -> Tensor:
        longest = max(map(len, ids))
        padded = torch.tensor([row + [PAD] * (longest - len(row)) for row in ids])
        lengths = torch.tensor([len(row) for row in ids])
        mask = torch.arange(longest) < lengths[:, None]
        full = bool(mask.all())
        vectors: Tensor = self.encoder(
            padded.to(self.device), None if full else mask.to(self.device)
        )
        return vectors

    def _search(
        self, vectors: Tensor, prefix: Tensor, beam_size: int, max_tokens: int
    ) -> list[list[Hypothesis]]:
        max_len = min(max_tokens, self.decoder.config.max_len)
        if vectors.is_cuda and self.decoder.config.vocab_size >= 2 * beam_size:
            return self._repeated_search(vectors, prefix, beam_size, max_len)
        state = self.decoder.start(vectors)
        return beam_search(
            lambda ids, rows: _step(self.decoder, state, ids, rows),
            prefix.expand(len(vectors), -1),
            beam_size=beam_size,
            max_len=max_len,
            eos=EOS,
            pad=PAD,
        )

    def _repeated_search(
        self, vectors: Tensor, prefix: Tensor, beam_size: int, max_len: int
    ) -> list[list[Hypothesis]]:
        """Search with what an earlier batch of about that size has captured."""
        texts = len(vectors)
        # Few sizes, filled up with copies: a capture takes longer than many a search.
        size = 1 << (texts - 1).bit_length()
        vectors = torch.cat([vectors, vectors[-1:].expand(size - texts, -1)])
        prefixes = prefix.expand(size, -1)
        key = (size, beam_size, max_len)
        if key not in self._searches:
            self._searches[key] = StaticSearch(
                self.decoder, prefixes, beam_size, max_len, eos=EOS, pad=PAD
            )
        return self._searches[key].search(vectors, prefixes)[:texts]

    def _check(self, vectors: Tensor) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.width:
            raise InputError(
                f"vectors of shape {tuple(vectors.shape)} do not fit this codec, which takes "
                f"(N, {self.width}); use the model that made them"
            )
        if not torch.isfinite(vectors).all():
            raise InputError("the vectors hold NaN or infinite values; encode the text again")


def _step(decoder: TextDecoder, state: DecoderState, ids: Tensor, rows: Tensor | None) -> Tensor:
    if rows is not None:
        state.reorder(rows)
    return decoder.step(ids, state)

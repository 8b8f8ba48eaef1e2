"""Our own codec: SONAR's encoder, decoder and tokenizer in plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from sonar_cli.model.codec.base import Decoded, OnTruncated, check_vectors, prefix_ids, source_ids
from sonar_cli.model.codec.beam import Hypothesis, NotANumber
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.search import Search
from sonar_cli.model.codec.tokenizer import PAD, Tokenizer
from sonar_cli.model.finite import not_finite, require_finite
from sonar_cli.model.sampling import Sampling


class NativeCodec:
    """A `Codec` of our own encoder, decoder and tokenizer.

    So many batches as `workers` are encoded at a time, each by a thread. Torch's own threads share
    a product instead, which pays with large matrices alone.

    >>> from sonar_cli.hub.resolve import resolve
    >>> from sonar_cli.model.load import load_codec
    >>> codec = load_codec(resolve())
    >>> vectors = codec.encode(["One day Lily found a kite."])
    >>> codec.decode(vectors)[0].text
    'One day Lily found a kite.'
    """

    def __init__(
        self, encoder: TextEncoder, decoder: TextDecoder, tokenizer: Tokenizer, workers: int = 1
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.workers = workers
        self._search = Search(decoder)

    @property
    def width(self) -> int:
        """The size D of a sentence vector."""
        return self.encoder.config.width

    @property
    def max_len(self) -> int:
        """The most tokens of a sentence that the encoder reads, language token and eos included."""
        return self.encoder.config.max_len

    @property
    def device(self) -> torch.device:
        """The device of the encoder and the decoder."""
        return self.encoder.embed.weight.device

    @torch.inference_mode()
    def encode(
        self,
        sentences: Sequence[str],
        lang: str = "eng_Latn",
        batch_size: int = 32,
        on_truncated: OnTruncated | None = None,
    ) -> Tensor:
        """Return the vectors (N, D) of N sentences, float32; see `Codec.encode`."""
        ids = source_ids(self, sentences, lang, on_truncated)
        # Sentences of similar length share a batch, so that it holds little padding.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        vectors = torch.empty(len(ids), self.width, device=self.device)
        with self._mapping(len(batches)) as mapped:
            made = mapped(self._encode_batch, ([ids[i] for i in batch] for batch in batches))
            for batch, found in zip(batches, made, strict=True):
                vectors[batch] = found
        return require_finite(vectors, self.encoder, "vectors")

    @torch.inference_mode()
    def decode(
        self,
        vectors: Tensor,
        lang: str = "eng_Latn",
        beam_size: int = 5,
        max_tokens: int = 256,
        batch_size: int = 32,
        sampling: Sampling | None = None,
    ) -> list[Decoded]:
        """Return the likeliest sentence of each vector (N, D), or draw one; see `Codec.decode`."""
        prefix = prefix_ids(self, lang, max_tokens)
        check_vectors(self, vectors)
        vectors = vectors.to(self.device, self.decoder.embed.weight.dtype)
        decoded: list[Decoded] = []
        for batch in vectors.split(batch_size):
            try:
                if sampling:
                    done = len(decoded)
                    own = replace(sampling, random=sampling.random[done : done + len(batch)])
                    best = self._search.sampled(batch, prefix, own, max_tokens)
                else:
                    found = self._search(batch, prefix, beam_size, max_tokens)
                    best = [hypotheses[0] for hypotheses in found]
            except NotANumber:
                raise not_finite(self.decoder, "scores of tokens") from None
            decoded += map(self._decoded, best)
        return decoded

    def _decoded(self, found: Hypothesis) -> Decoded:
        spelling = self.tokenizer.spelling(found.ids, found.chances) if found.chances else 0.0
        return Decoded(self.tokenizer.decode(found.ids), found.ids, found.score, spelling)

    @contextmanager
    def _mapping(self, batches: int) -> Iterator[Callable[..., Iterator[Tensor]]]:
        """Yield `map`, or one that works on `workers` of the batches at a time."""
        if min(self.workers, batches) < 2:
            yield map
            return
        with ThreadPoolExecutor(self.workers) as pool:
            yield pool.map

    @torch.inference_mode()  # once more, because each thread has its own
    def _encode_batch(self, ids: list[list[int]]) -> Tensor:
        """Return the vectors (N, D) float32 of N sentences' ids."""
        longest = max(map(len, ids))
        padded = torch.tensor([row + [PAD] * (longest - len(row)) for row in ids])
        lengths = torch.tensor([len(row) for row in ids])
        mask = torch.arange(longest) < lengths[:, None]  # (N, longest)
        full = bool(mask.all())
        vectors: Tensor = self.encoder(
            padded.to(self.device), None if full else mask.to(self.device)
        )
        return vectors.float()

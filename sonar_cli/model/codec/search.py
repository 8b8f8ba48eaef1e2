"""A decoder's beam search: step by step on the CPU, as one CUDA graph on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from sonar_cli.model.codec.beam import Hypothesis, beam_search
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.graph import StaticSearch
from sonar_cli.model.codec.tokenizer import EOS, PAD


class Search:
    """Searches the most likely sentences of vectors, and keeps what was captured for a GPU."""

    def __init__(self, decoder: TextDecoder) -> None:
        self.decoder = decoder
        self._captured: dict[tuple[int, ...], StaticSearch] = {}

    def __call__(
        self,
        vectors: Tensor,
        prefix: Tensor,
        beam_size: int,
        max_tokens: int,
        eos: int = EOS,
        pad: int = PAD,
    ) -> list[list[Hypothesis]]:
        """Vectors (N, D), one prefix (P,) for all -> each text's hypotheses, the best first.

        `max_tokens` counts the prefix and eos; the decoder's own limit caps it.
        """
        max_len = min(max_tokens, self.decoder.config.max_len)
        if vectors.is_cuda and self.decoder.config.vocab_size >= 2 * beam_size:
            return self._captured_search(vectors, prefix, beam_size, max_len, eos, pad)
        state = self.decoder.start(vectors)

        def step(ids: Tensor, rows: Tensor | None) -> Tensor:
            if rows is not None:
                state.reorder(rows)
            return self.decoder.step(ids, state)

        prefixes = prefix.expand(len(vectors), -1)
        return beam_search(step, prefixes, beam_size=beam_size, max_len=max_len, eos=eos, pad=pad)

    def _captured_search(
        self, vectors: Tensor, prefix: Tensor, beam_size: int, max_len: int, eos: int, pad: int
    ) -> list[list[Hypothesis]]:
        """Search with the graph of an earlier batch of about that size, or capture one."""
        texts = len(vectors)
        # Sizes are powers of two, filled up with copies: capturing a graph takes longer than many
        # a search, so there must be few of them.
        size = 1 << (texts - 1).bit_length()
        vectors = torch.cat([vectors, vectors[-1:].expand(size - texts, -1)])
        prefixes = prefix.expand(size, -1)
        key = (size, prefix.shape[0], beam_size, max_len, eos, pad)
        if key not in self._captured:
            self._captured[key] = StaticSearch(
                self.decoder, prefixes, beam_size, max_len, eos=eos, pad=pad
            )
        return self._captured[key].search(vectors, prefixes)[:texts]

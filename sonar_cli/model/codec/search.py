"""Sentences of vectors: by beam search, which on a GPU is CUDA graphs, or drawn token by token."""

from __future__ import annotations

import torch
from torch import Tensor

from sonar_cli.model.codec.beam import Hypothesis, Step, beam_search
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.graph import StaticSearch
from sonar_cli.model.codec.sampled import sample
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.sampling import Sampling


class Search:
    """Finds the most likely sentences of vectors; keeps the CUDA graphs of earlier searches.

    Tokens that the decoder's config suppresses are in none of them.
    """

    def __init__(self, decoder: TextDecoder) -> None:
        self.decoder = decoder
        self._suppressed = list(decoder.config.suppressed)
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
        """Return the hypotheses of each of the vectors (N, D), best first; see `beam_search`.

        All sentences begin with `prefix` (P,) int64. `max_tokens` counts the prefix and eos; the
        decoder's own limit caps it.
        """
        max_len = min(max_tokens, self.decoder.config.max_len)
        graphed = vectors.is_cuda and not self._suppressed
        if graphed and self.decoder.config.vocab_size >= 2 * beam_size:
            return self._captured_search(vectors, prefix, beam_size, max_len, eos, pad)
        prefixes = prefix.expand(len(vectors), -1)
        return beam_search(
            self._steps(vectors), prefixes, beam_size=beam_size, max_len=max_len, eos=eos, pad=pad
        )

    def sampled(
        self, vectors: Tensor, prefix: Tensor, sampling: Sampling, max_tokens: int
    ) -> list[Hypothesis]:
        """Draw a sentence of each of the vectors (N, D), a generator a vector; see `sample`."""
        max_len = min(max_tokens, self.decoder.config.max_len)
        prefixes = prefix.expand(len(vectors), -1)
        return sample(self._steps(vectors), prefixes, sampling, max_len=max_len, eos=EOS, pad=PAD)

    def _steps(self, vectors: Tensor) -> Step:
        state = self.decoder.start(vectors)

        def step(ids: Tensor, rows: Tensor | None) -> Tensor:
            if rows is not None:
                state.reorder(rows)
            logits = self.decoder.step(ids, state)
            if self._suppressed:
                logits[..., self._suppressed] = -torch.inf
            return logits

        return step

    def _captured_search(
        self, vectors: Tensor, prefix: Tensor, beam_size: int, max_len: int, eos: int, pad: int
    ) -> list[list[Hypothesis]]:
        """Search with the graph of an earlier batch of the same padded size, or a new graph."""
        texts = len(vectors)
        # The batch is padded to a power of two with copies of its last vector. Capturing a graph
        # often takes longer than a search, so there should be few sizes.
        size = 1 << (texts - 1).bit_length()
        vectors = torch.cat([vectors, vectors[-1:].expand(size - texts, -1)])
        prefixes = prefix.expand(size, -1)
        key = (size, prefix.shape[0], beam_size, max_len, eos, pad)
        if key not in self._captured:
            self._captured[key] = StaticSearch(
                self.decoder, prefixes, beam_size, max_len, eos=eos, pad=pad
            )
        return self._captured[key].search(vectors, prefixes)[:texts]

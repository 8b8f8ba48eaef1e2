"""The search on a GPU: a token step and the search's bookkeeping as one CUDA graph.

A step of the decoder is hundreds of small kernels; launching them one by one takes longer than
running them. Captured once, they are repeated with one call, and nothing waits for the host but a
look, every few steps, whether all texts have finished.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sonar_cli.model.codec.beam import Beams, Hypothesis
from sonar_cli.model.codec.decoder import StaticState, TextDecoder

# Steps between two looks whether all texts have finished.
_STRIDE = 8


class StaticSearch:
    """`beam_search` of N texts over a decoder, repeated in memory that stays where it is.

    On CUDA the steps after the first are a graph; elsewhere they are run as they are, which is
    how the same code is tested without a GPU.
    """

    def __init__(
        self, decoder: TextDecoder, prefix: Tensor, beam_size: int, max_len: int, eos: int, pad: int
    ) -> None:
        texts, self.start = prefix.shape
        self.decoder, self.max_len, self.beam_size = decoder, max_len, beam_size
        self.beams = Beams(prefix, beam_size, max_len, eos, pad, rows=beam_size)
        weight = decoder.embed.weight
        config = decoder.config
        constants = weight.new_zeros(config.layers, texts * beam_size, 1, config.width)
        self.state = StaticState(constants, config.heads, max_len)
        self.rows = prefix.new_zeros(texts * beam_size)
        self.tokens = prefix.new_zeros(texts * beam_size, 1)
        self.graph: torch.cuda.CUDAGraph | None = None

    @torch.inference_mode()
    def search(self, vectors: Tensor, prefix: Tensor) -> list[list[Hypothesis]]:
        """Vectors (N, D) and prefix (N, P) of the shapes given before -> see `beam_search`."""
        constants = self.decoder.constants(vectors).repeat_interleave(self.beam_size, dim=1)
        self.state.restart(constants)
        self.beams.begin(prefix)
        rows = prefix.repeat_interleave(self.beam_size, dim=0)
        logits = self.decoder.step(rows, self.state)
        self.beams.score_prefix(logits[:: self.beam_size])
        self._advance(logits[:, -1], self.start == self.max_len - 1)
        for position in range(self.start + 1, self.max_len):
            if (position - self.start) % _STRIDE == 0 and all(self.beams.done()):
                break
            if position == self.max_len - 1:
                self._turn(last=True)
            else:
                self._repeat()
        self.beams.done()  # NaN is an error, also late
        return [self.beams.best_first(text) for text in range(len(prefix))]

    def _turn(self, last: bool = False) -> None:
        """Take one step with the newest tokens, and choose the next."""
        self.state.reorder(self.rows)
        self._advance(self.decoder.step(self.tokens, self.state)[:, -1], last)

    def _advance(self, logits: Tensor, last: bool) -> None:
        rows, tokens = self.beams.advance(logits, last)
        self.rows.copy_(rows)
        self.tokens.copy_(tokens[:, None])

    def _repeat(self) -> None:
        if not self.rows.is_cuda:
            return self._turn()
        if self.graph is None:
            self._turn()  # what is set up at a first use must not be captured
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._turn()
            return
        self.graph.replay()

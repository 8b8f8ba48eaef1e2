"""Beam search on a GPU: a step of the decoder and of the search as one CUDA graph.

A step of the decoder consists of hundreds of small kernels, and launching them one by one takes
longer than running them. A graph captures them once and replays them with a single call. The host
waits for the GPU only every few steps, to check whether all texts are done.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sonar_cli.model.codec.beam import Beams, Hypothesis
from sonar_cli.model.codec.decoder import StaticState, TextDecoder

# Steps between two checks whether all texts are done.
_STRIDE = 8


class StaticSearch:
    """`beam_search` of N texts with a decoder, on tensors that are allocated only once.

    On CUDA one step is captured as a graph and replayed. On the CPU the same steps run without a
    graph, so that they can be tested without a GPU.
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
        """Return what `beam_search` returns, for vectors (N, D) and prefix (N, P) int64.

        N and P are those of the prefix in the constructor. Raises NotANumber if the logits hold
        NaN.
        """
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
        self.beams.done()  # raises if NaN came up after the last check
        return [self.beams.best_first(text) for text in range(len(prefix))]

    def _turn(self, last: bool = False) -> None:
        """Run one step: decode the newest tokens and choose the next ones."""
        self.state.reorder(self.rows)
        self._advance(self.decoder.step(self.tokens, self.state)[:, -1], last)

    def _advance(self, logits: Tensor, last: bool) -> None:
        rows, tokens = self.beams.advance(logits, last)
        self.rows.copy_(rows)
        self.tokens.copy_(tokens[:, None])

    def _repeat(self) -> None:
        """Run one step; on CUDA replay it, after the first call has captured it."""
        if not self.rows.is_cuda:
            return self._turn()
        if self.graph is None:
            self._turn()  # libraries set themselves up in a first call, outside of the capture
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self._turn()
            return
        self.graph.replay()

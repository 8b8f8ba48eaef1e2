"""A token-level Llama with the codec's tokenizer: the baseline of the sentence-level systems.

A text is `[bos] pieces [eos]`. The output projection shares the embedding's weight, as in Llama 3's
small models. It predicts no vectors, so it is no `System`; `sonar_cli/tokens.py` generates its
texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.tokenizer import BOS, EOS, Tokenizer
from sonar_cli.model.shapes import TokenLLMConfig
from sonar_cli.model.systems.llama import KVCache, Llama


class TokenLLM(Llama):
    """Predicts, at every position, the next token from the tokens so far."""

    def __init__(self, config: TokenLLMConfig) -> None:
        super().__init__(config)
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.hidden)
        if not self.embed.weight.is_meta:
            nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the logits (B, T, V) of ids (B, T) int64, which follow those in the cache."""
        return F.linear(self.hidden(ids, cache), self.embed.weight)

    def following(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the logits (B, V) of what follows ids (B, T) int64, and those of no position else.

        Those of all positions of a long prompt would take more memory than the network.
        """
        return F.linear(self.hidden(ids, cache)[:, -1], self.embed.weight)

    def hidden(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the hidden states (B, T, hidden), after the final norm, of ids (B, T) int64."""
        return self.run(self.embed(ids), cache)


class TokenLLMSystem:
    """A tokenizer and a token-level Llama with its vocabulary."""

    def __init__(self, tokenizer: Tokenizer, model: TokenLLM) -> None:
        self.tokenizer = tokenizer
        self.model = model

    def prompt(self, sentences: Sequence[str]) -> list[int]:
        """Return the ids that a continuation of sentences follows: bos and pieces, without eos."""
        return [BOS, *self.tokenizer.pieces(" ".join(sentences))]

    def document(self, sentences: Sequence[str]) -> list[int]:
        """Return the ids of a whole text as used in training: bos, pieces and eos."""
        return [*self.prompt(sentences), EOS]

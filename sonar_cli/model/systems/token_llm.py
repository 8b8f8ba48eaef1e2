"""A token-level Llama over the codec's own tokenizer: what sentence-level systems are compared to.

A text is `[bos] pieces [eos]`; the output projection is the embedding (Llama 3's small models).
It has no vectors, so it is no `System`: `sonar_cli/tokens.py` lets it write texts.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD, Tokenizer
from sonar_cli.model.shapes import TokenLLMConfig
from sonar_cli.model.systems.llama import KVCache, Llama


class TokenLLM(Llama):
    """Token ids so far -> logits of the next token, at every position."""

    def __init__(self, config: TokenLLMConfig) -> None:
        super().__init__(config)
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.hidden)
        if not self.embed.weight.is_meta:
            nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, ids: Tensor, cache: KVCache | None = None) -> Tensor:
        """Ids (B, T) int64, those after the cache's -> logits (B, T, V)."""
        return F.linear(self.run(self.embed(ids), cache), self.embed.weight)

    def loss(self, ids: Tensor) -> Tensor:
        """Cross-entropy of each token after the first, ids (B, T) with pad: mean over tokens.

        Pad is no target; the end token is one.
        """
        logits, targets = self(ids[:, :-1]), ids[:, 1:]
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=PAD)


class TokenLLMSystem:
    """A tokenizer and a token-level Llama over its vocabulary."""

    def __init__(self, tokenizer: Tokenizer, model: TokenLLM) -> None:
        self.tokenizer = tokenizer
        self.model = model

    def prompt(self, sentences: Sequence[str]) -> list[int]:
        """Return the ids of a text's sentences, a begin token in front and no end."""
        return [BOS, *self.tokenizer.pieces(" ".join(sentences))]

    def document(self, sentences: Sequence[str]) -> list[int]:
        """Return the ids of a whole text, begin and end included, as it is trained on."""
        return [*self.prompt(sentences), EOS]

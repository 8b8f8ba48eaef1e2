"""SONAR's text encoder: token ids to one vector a sentence."""

from __future__ import annotations

from torch import Tensor, nn

from sonar_cli.model.codec.layers import Embedding, FeedForward, SelfAttention
from sonar_cli.model.shapes import TransformerConfig


class EncoderLayer(nn.Module):
    """Pre-norm block: self-attention over the sentence, then feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attn_norm = nn.LayerNorm(config.width)
        self.self_attn = SelfAttention(config.width, config.heads)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.ffn = FeedForward(config.width, config.ffn)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """X (N, S, D), mask (N, 1, 1, S) bool, True where there is a token -> (N, S, D)."""
        q, k, v = self.self_attn.project(self.self_attn_norm(x))
        x = x + self.self_attn.attend(q, k, v, mask)
        result: Tensor = x + self.ffn(self.ffn_norm(x))
        return result


class TextEncoder(nn.Module):
    """`[lang] pieces [eos]` -> the mean of the normalized hidden states over the real tokens."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.width, config.max_len)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Ids (N, S) int64, mask (N, S) bool, True for real tokens (None: all) -> (N, D)."""
        attend = None if mask is None else mask[:, None, None, :]
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, attend)
        x = self.norm(x)
        if mask is None:
            return x.mean(dim=1)
        real = mask.unsqueeze(2)
        return x.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1)

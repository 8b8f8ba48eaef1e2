"""SONAR's text encoder: from the token ids of a sentence to its vector."""

from __future__ import annotations

from torch import Tensor, nn

from sonar_cli.model.codec.layers import Embedding, FeedForward, SelfAttention
from sonar_cli.model.recompute import through
from sonar_cli.model.shapes import TransformerConfig


class EncoderLayer(nn.Module):
    """A pre-norm block: self-attention over the sentence, then feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attn_norm = nn.LayerNorm(config.width)
        self.self_attn = SelfAttention(config.width, config.heads)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.ffn = FeedForward(config.width, config.ffn)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the output (N, S, D) of the block for x (N, S, D).

        `mask` (N, 1, 1, S) bool is True at tokens and False at padding; None means no padding.
        """
        q, k, v = self.self_attn.project(self.self_attn_norm(x))
        x = x + self.self_attn.attend(q, k, v, mask)
        result: Tensor = x + self.ffn(self.ffn_norm(x))
        return result


class TextEncoder(nn.Module):
    """SONAR's text encoder: reads `[lang] pieces [eos]`, returns one vector.

    The vector is the mean of the last layer's normalized hidden states over all tokens. Training
    sets `recompute` to keep only the layers' inputs for the backward pass.
    """

    recompute = False

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.width, config.max_len)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the vectors (N, D) of ids (N, S) int64.

        `mask` (N, S) bool is True at tokens and False at padding; None means no padding.
        """
        attend = None if mask is None else mask[:, None, None, :]  # (N, 1, 1, S)
        x = self.embed(ids)
        for layer in self.layers:
            x = through(layer, x, attend, recompute=self.recompute)
        x = self.norm(x)
        if mask is None:
            return x.mean(dim=1)
        real = mask.unsqueeze(2)  # (N, S, 1)
        return x.masked_fill(~real, 0.0).sum(dim=1) / real.sum(dim=1)

"""SONAR's text decoder: a sentence vector and the tokens so far to the next token's logits.

The original attends over the encoder's output, which is exactly one vector: the softmax over one
score is 1, whatever the queries and keys are. Each layer's cross-attention is therefore the
constant `out_proj(v_proj(z))`, computed once a sentence; its q, k and norm are never needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.config import TransformerConfig
from sonar_cli.model.layers import Embedding, FeedForward, SelfAttention


@dataclass
class LayerState:
    """One layer's memory: the vector's constant (N, 1, D); keys and values (N, h, T, hd)."""

    constant: Tensor
    keys: Tensor | None = None
    values: Tensor | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the new positions' keys and values; return all of them."""
        if self.keys is not None and self.values is not None:
            keys = torch.cat([self.keys, keys], dim=2)
            values = torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values

    def reorder(self, rows: Tensor) -> None:
        """Let new row i continue old row `rows[i]`."""
        self.constant = self.constant[rows]
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]


@dataclass
class DecoderState:
    """All layers' memory and the number of positions in it."""

    layers: list[LayerState]
    length: int = 0

    def reorder(self, rows: Tensor) -> None:
        """Let new row i continue old row `rows[i]`; rows (R,) int64."""
        for layer in self.layers:
            layer.reorder(rows)


class VectorAttention(nn.Module):
    """Cross-attention to a single vector, folded to its constant."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, vectors: Tensor) -> Tensor:
        """Vectors (N, D) -> (N, 1, D), the same for every token of the sentence."""
        constant: Tensor = self.out(self.v(vectors)).unsqueeze(1)
        return constant


class DecoderLayer(nn.Module):
    """Pre-norm block: causal self-attention, the vector's constant, feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attn_norm = nn.LayerNorm(config.width)
        self.self_attn = SelfAttention(config.width, config.heads)
        self.vector_attn = VectorAttention(config.width)
        self.ffn_norm = nn.LayerNorm(config.width)
        self.ffn = FeedForward(config.width, config.ffn)

    def forward(self, x: Tensor, state: LayerState) -> Tensor:
        """X (N, S, D): the positions that follow those in `state` -> (N, S, D)."""
        q, k, v = self.self_attn.project(self.self_attn_norm(x))
        first = state.keys is None
        k, v = state.extend(k, v)
        # Several positions at once only ever come first, so the plain causal mask is right.
        x = x + self.self_attn.attend(q, k, v, causal=first and q.shape[2] > 1)
        x = x + state.constant
        result: Tensor = x + self.ffn(self.ffn_norm(x))
        return result


class TextDecoder(nn.Module):
    """Vectors and `[eos] [lang] pieces` -> logits; the output projection is the embedding."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = Embedding(config.vocab_size, config.width, config.max_len)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor:
        """Teacher forcing: vectors (N, D), ids (N, S) int64 -> logits (N, S, V)."""
        return self.project(self.hidden(ids, self.start(vectors)))

    def start(self, vectors: Tensor) -> DecoderState:
        """Vectors (N, D) -> the state before any token."""
        attentions = [cast(DecoderLayer, layer).vector_attn for layer in self.layers]
        return DecoderState([LayerState(attention(vectors)) for attention in attentions])

    def step(self, ids: Tensor, state: DecoderState) -> Tensor:
        """Ids (N, S) after those in `state`, which grows -> logits of the last one (N, V)."""
        return self.project(self.hidden(ids, state)[:, -1])

    def hidden(self, ids: Tensor, state: DecoderState) -> Tensor:
        """Ids (N, S) after those in `state`, which grows -> hidden states (N, S, D)."""
        if state.length and ids.shape[1] > 1:
            raise ValueError("after the first call the decoder takes one position at a time")
        x = self.embed(ids, state.length)
        for layer, memory in zip(self.layers, state.layers, strict=True):
            x = layer(x, memory)
        state.length += ids.shape[1]
        result: Tensor = self.norm(x)
        return result

    def project(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> logits (..., V)."""
        return F.linear(hidden, self.embed.weight)

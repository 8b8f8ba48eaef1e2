"""What encoder and decoder share: positions, self-attention, feed-forward."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The models' own pad index is 1, so fairseq's sinusoidal positions start at 1 + 1.
FIRST_POSITION = 2


def sinusoidal_positions(count: int, width: int) -> Tensor:
    """Return fairseq's sinusoidal table (count, width), float32: first half sine, second cosine.

    Row i belongs to position `FIRST_POSITION + i`. Frequencies are
    `10000 ** (-k / (width / 2 - 1))`, as in tensor2tensor.
    """
    half = width // 2
    rates = torch.exp(_arange(0, half) * (-math.log(10_000.0) / (half - 1)))
    steps = _arange(FIRST_POSITION, FIRST_POSITION + count)
    angles = torch.outer(steps, rates)  # (count, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _arange(start: int, end: int) -> Tensor:
    # On the CPU by name: models are built on the meta device, but no file holds these values.
    return torch.arange(start, end, dtype=torch.float32, device="cpu")


class Embedding(nn.Embedding):
    """Token embedding scaled by sqrt(width), plus sinusoidal positions (added in float32)."""

    positions: Tensor

    def __init__(self, vocab_size: int, width: int, max_len: int) -> None:
        self.scale = math.sqrt(width)
        super().__init__(vocab_size, width)
        self.register_buffer("positions", sinusoidal_positions(max_len, width), persistent=False)

    def reset_parameters(self) -> None:
        """Draw the weights, of size 1 once scaled, as in fairseq."""
        # On the meta device there is nothing to draw, and trying imports torch's compiler: seconds.
        if not self.weight.is_meta:
            nn.init.normal_(self.weight, std=1 / self.scale)

    def forward(self, ids: Tensor, start: int | Tensor = 0) -> Tensor:
        """Ids (N, S) at positions start.., or at those in a tensor (S,) -> (N, S, width)."""
        tokens = super().forward(ids) * self.scale
        if isinstance(start, Tensor):
            positions = self.positions.index_select(0, start)
        else:
            positions = self.positions[start : start + ids.shape[1]]
        return (tokens.float() + positions.float()).to(tokens.dtype)


class SelfAttention(nn.Module):
    """Multi-head self-attention with biases; keys and values may come from a cache."""

    JOINED: ClassVar = {"qkv": ("q", "k", "v")}

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv: nn.Module | None = None
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """X (N, S, width) -> queries, keys, values, each (N, heads, S, head size)."""
        if self.qkv is not None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        else:
            q, k, v = self.q(x), self.k(x), self.v(x)
        return self._split(q), self._split(k), self._split(v)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Queries (N, h, S, hd) over keys and values (N, h, T, hd) -> (N, S, width)."""
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear maps with a ReLU between."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        result: Tensor = self.down(self.up(x).relu_())
        return result

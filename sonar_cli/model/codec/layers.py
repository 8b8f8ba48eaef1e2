"""The layers that encoder and decoder share: embedding, self-attention, feed-forward."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.attention import attention

# fairseq counts positions from pad index + 1, and SONAR was trained with pad index 1.
FIRST_POSITION = 2


def sinusoidal_positions(count: int, width: int) -> Tensor:
    """Return fairseq's sinusoidal table (count, width), float32: first half sine, second cosine.

    Row i belongs to position `FIRST_POSITION + i`. Frequency k, in radians per position, is
    `10000 ** (-k / (width / 2 - 1))`, as in tensor2tensor.
    """
    half = width // 2
    rates = torch.exp(_arange(0, half) * (-math.log(10_000.0) / (half - 1)))
    steps = _arange(FIRST_POSITION, FIRST_POSITION + count)
    angles = torch.outer(steps, rates)  # (count, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _arange(start: int, end: int) -> Tensor:
    # On the CPU even if the model is built on the meta device: no checkpoint provides these values.
    return torch.arange(start, end, dtype=torch.float32, device="cpu")


class Embedding(nn.Embedding):
    """Token embedding scaled by sqrt(width), plus sinusoidal positions (added in float32)."""

    positions: Tensor
    # The rows and their scales, where `model.load` has put some here.
    _int8: tuple[Tensor, Tensor] | None = None

    def __init__(self, vocab_size: int, width: int, max_len: int) -> None:
        self.scale = math.sqrt(width)
        super().__init__(vocab_size, width)
        self.register_buffer("positions", sinusoidal_positions(max_len, width), persistent=False)

    def reset_parameters(self) -> None:
        """Draw the weights with a standard deviation of 1 after scaling, as in fairseq."""
        # Not on the meta device: there torch would import its compiler, which takes seconds.
        if not self.weight.is_meta:
            nn.init.normal_(self.weight, std=1 / self.scale)

    def forward(self, ids: Tensor, start: int | Tensor = 0) -> Tensor:
        """Return the embeddings (N, S, width) of ids (N, S) int64.

        `start` is the position of the first id, from 0, or all positions as a tensor (S,) int64.
        """
        tokens = self._rows(ids) * self.scale
        if isinstance(start, Tensor):
            positions = self.positions.index_select(0, start)
        else:
            positions = self.positions[start : start + ids.shape[1]]
        return (tokens.float() + positions.float()).to(tokens.dtype)

    def look_up_in(self, values: Tensor, scale: Tensor) -> None:
        """Take rows from int8 values (V, width) and their scales (V,) from now on."""
        self._int8 = values, scale

    def _rows(self, ids: Tensor) -> Tensor:
        if self._int8 is None:
            return super().forward(ids)
        values, scale = self._int8
        return values[ids].to(self.weight.dtype) * scale[ids].unsqueeze(-1)


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
        """Return queries, keys and values of x (N, S, width), each (N, heads, S, head size)."""
        if self.qkv is not None:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
        else:
            q, k, v = self.q(x), self.k(x), self.v(x)
        return self._split(q), self._split(k), self._split(v)

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> Tensor:
        """Return the output (N, S, width) of queries (N, h, S, hd) over keys, values (N, h, T, hd).

        `mask`, bool and broadcast to (N, h, S, T), is True where a query may attend. `dropout` is
        that of the attention weights.
        """
        mixed = attention(q, k, v, mask, causal, dropout)
        # (N, h, S, hd) -> (N, S, h * hd)
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (N, heads, S, head size)


class FeedForward(nn.Module):
    """Two linear maps with a ReLU between them."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)

    def forward(self, x: Tensor, dropout: float = 0.0) -> Tensor:
        """Return the output (..., width) for x (..., width), with dropout between the maps."""
        result: Tensor = self.down(F.dropout(self.up(x).relu_(), dropout))
        return result

"""Llama's blocks: RMSNorm, attention with rotary positions, SwiGLU, and the key-value cache.

The layers are those of transformers' LlamaModel. They read hidden states, which the caller makes
from sentence vectors or from tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.attention import attention
from sonar_cli.model.recompute import through
from sonar_cli.model.shapes import LlamaConfig, RopeScaling

# The fewest positions by which a cache grows. A cache of more than twice that grows by half.
_GROWTH = 64


class KVCache:
    """Keys and values of the positions seen so far, of B texts that may differ in length.

    They are one tensor (keys and values, layers, B, kv heads, capacity, head size). Its capacity
    grows in steps, so that the cost of a new position does not depend on the number before it.
    """

    def __init__(self, layers: int) -> None:
        self.lengths: list[int] = []
        self._layers = layers
        self._memory: Tensor | None = None

    @property
    def length(self) -> int:
        """The number of positions of the longest text."""
        return max(self.lengths, default=0)

    @property
    def even(self) -> bool:
        """Whether all texts have the same length."""
        return len(set(self.lengths)) <= 1

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's keys and values (B, kv heads, T, head size) of the new positions.

        Returns those of all positions, padded to the length of the longest text. T is 1 if the
        texts differ in length.
        """
        if not self.lengths:
            self.lengths = [0] * len(keys)
        end = self.length + keys.shape[2]
        memory = self._reserve(end, keys)[:, layer]  # (2, B, kv heads, capacity, head size)
        for kept, new in zip(memory, (keys, values), strict=True):
            if self.even:
                kept[:, :, self.length : end] = new
            else:
                kept[range(len(self.lengths)), :, self.lengths] = new[:, :, 0]
        return memory[0, :, :, :end], memory[1, :, :, :end]

    def advance(self, count: int) -> None:
        """Add `count` to the length of every text, after all layers have written their part."""
        self.lengths = [length + count for length in self.lengths]

    def put(self, row: int, text: KVCache) -> None:
        """Copy the only text of another cache into `row`, the next free row or one to overwrite."""
        length = text.length
        if text._memory is not None:
            rows = max(row + 1, len(self.lengths))
            memory = self._reserve(max(length, self.length), text._memory[0, 0], rows)
            memory[:, :, row, :, :length] = text._memory[:, :, 0, :, :length]
        self.lengths[row : row + 1] = [length]

    def keep(self, rows: list[int]) -> None:
        """Drop all rows but these."""
        if self._memory is not None and rows != list(range(len(self.lengths))):
            self._memory = self._memory[:, :, rows]
        self.lengths = [self.lengths[row] for row in rows]

    def _reserve(self, length: int, like: Tensor, rows: int | None = None) -> Tensor:
        """Return memory for `length` positions of `rows` texts that holds the old contents.

        New memory has the heads, head size, dtype and device of `like` (B, kv heads, T, head size).
        """
        old = self._memory
        rows = rows or len(self.lengths)
        held, capacity = (0, 0) if old is None else (old.shape[2], old.shape[4])
        if old is not None and length <= capacity and rows <= held:
            return old
        if length > capacity:
            capacity = max(length, capacity + max(_GROWTH, capacity // 2))
        _, heads, _, size = like.shape
        memory = like.new_zeros(2, self._layers, max(rows, held), heads, capacity, size)
        if old is not None:
            memory[:, :, :held, :, : old.shape[4]] = old
        self._memory = memory
        return memory


@dataclass(frozen=True)
class Place:
    """Rotary cosines and sines (1 or B, 1, T, head size) of T new positions, and their mask.

    `mask` (1 or B, 1, T, all) bool is True where a position may attend. It is None in two cases:
    the new positions are the first of a text and attend causally (`causal`), or there is a single
    new position, which attends to all.
    """

    cos: Tensor
    sin: Tensor
    mask: Tensor | None
    causal: bool


class RMSNorm(nn.Module):
    """Root-mean-square normalization, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Return x (..., size) normalized."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class Attention(nn.Module):
    """Causal attention with rotary positions and grouped key-value heads, without biases."""

    JOINED: ClassVar = {"qkv": ("q", "k", "v")}

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        inner, kv_inner = config.heads * config.head_dim, config.kv_heads * config.head_dim
        self.sizes = [inner, kv_inner, kv_inner]
        self.qkv: nn.Module | None = None
        self.grouped = config.kv_heads != config.heads
        self.q = nn.Linear(config.hidden, inner, bias=False)
        self.k = nn.Linear(config.hidden, kv_inner, bias=False)
        self.v = nn.Linear(config.hidden, kv_inner, bias=False)
        self.out = nn.Linear(inner, config.hidden, bias=False)

    def forward(self, x: Tensor, place: Place, cache: KVCache | None, layer: int) -> Tensor:
        """Return the output (B, T, hidden) for x (B, T, hidden); `layer` counts from 0."""
        q, k, v = map(self._split, self._project(x))
        q, k = _rotate(q, place), _rotate(k, place)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        if q.shape[2] == 1 and place.mask is None and q.is_cpu:
            mixed = _attend_alone(q, k, v)
        else:
            mixed = attention(q, k, v, place.mask, place.causal, grouped=self.grouped)
        # (B, heads, T, head size) -> (B, T, heads * head size)
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

    def _project(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.qkv is not None:
            joined: tuple[Tensor, ...] = self.qkv(x).split(self.sizes, dim=-1)
            return joined
        return self.q(x), self.k(x), self.v(x)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, self.head_dim)).transpose(1, 2)  # (B, heads, T, head size)


class SwiGLU(nn.Module):
    """`down(silu(gate(x)) * up(x))`, without biases."""

    JOINED: ClassVar = {"gate_up": ("gate", "up")}

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_up: nn.Module | None = None
        self.gate = nn.Linear(hidden, inner, bias=False)
        self.up = nn.Linear(hidden, inner, bias=False)
        self.down = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output (..., hidden) for x (..., hidden)."""
        if self.gate_up is not None:
            gate, up = self.gate_up(x).chunk(2, dim=-1)
        else:
            gate, up = self.gate(x), self.up(x)
        result: Tensor = self.down(F.silu(gate) * up)
        return result


class LlamaLayer(nn.Module):
    """A pre-norm block: causal attention, then SwiGLU."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.hidden, config.rms_eps)
        self.attn = Attention(config)
        self.ffn_norm = RMSNorm(config.hidden, config.rms_eps)
        self.ffn = SwiGLU(config.hidden, config.ffn)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, place: Place, cache: KVCache | None, layer: int) -> Tensor:
        """Return the output (B, T, hidden) for x (B, T, hidden); `layer` counts from 0."""
        x = x + self.dropout(self.attn(self.attn_norm(x), place, cache, layer))
        result: Tensor = x + self.dropout(self.ffn(self.ffn_norm(x)))
        return result


class Llama(nn.Module):
    """A stack of Llama layers and the final norm, over hidden states.

    Training sets `recompute` to keep only the layers' inputs for the backward pass.
    """

    rates: Tensor
    recompute = False

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(LlamaLayer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.rms_eps)
        rates = rotary_rates(config.head_dim, config.rope_theta, config.rope_scaling)
        self.register_buffer("rates", rates, persistent=False)

    def run(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the hidden states (B, T, hidden), after the final norm, of x (B, T, hidden).

        The positions of x follow those in the cache, and are added to it. Raises ValueError for
        T > 1 if the cache has texts of different lengths.
        """
        place = self._place(x, cache)
        for number, layer in enumerate(self.layers):
            x = through(layer, x, place, cache, number, recompute=self.recompute)
        if cache is not None:
            cache.advance(x.shape[1])
        result: Tensor = self.norm(x)
        return result

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the inputs, float32 for int8 weights."""
        return self.norm.weight.dtype

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.norm.weight.device

    def new_cache(self) -> KVCache:
        """Return an empty cache for one batch of texts."""
        return KVCache(len(self.layers))

    def _place(self, x: Tensor, cache: KVCache | None) -> Place:
        """Return the rotary values and the mask of x (B, T, hidden), which follows the cache."""
        count = x.shape[1]
        lengths = (cache.lengths if cache is not None else []) or [0]
        longest = max(lengths)
        even = cache is None or cache.even
        if count > 1 and not even:
            raise ValueError("texts of different lengths take one position at a time")
        starts = torch.tensor(lengths[:1] if even else lengths, device=self.rates.device)
        steps = starts[:, None] + torch.arange(count, device=starts.device)  # (1 or B, T)
        angles = steps[:, None, :, None] * self.rates.float()  # (1 or B, 1, T, head size / 2)
        angles = torch.cat([angles, angles], dim=3)
        # The first positions of a text need no T x T mask in memory: `causal` says the same.
        mask = None
        if not even or (count > 1 and longest > 0):
            everything = torch.arange(longest + count, device=starts.device)
            mask = everything <= steps[:, None, :, None]  # (1 or B, 1, T, all)
        causal = count > 1 and mask is None
        return Place(angles.cos().to(x.dtype), angles.sin().to(x.dtype), mask, causal)


def rotary_rates(head_dim: int, theta: float, scaling: RopeScaling | None) -> Tensor:
    """Return the rotary angle per position (head_dim / 2,), float32, in radians.

    Rate k is `theta ** (-2k / head_dim)`. Llama 3's scaling divides by `factor` the rates whose
    wavelength is above `original_max_len / low_freq_factor`, keeps those whose wavelength is below
    `original_max_len / high_freq_factor`, and interpolates between the two. Source: transformers'
    `_compute_llama3_parameters`.
    """
    # On the CPU even if the model is built on the meta device: no checkpoint provides these values.
    powers = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim
    rates = 1.0 / theta**powers
    if scaling is None:
        return rates
    wavelength = 2 * math.pi / rates
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    share = ((scaling.original_max_len / wavelength - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - share) * rates / scaling.factor + share * rates


def _attend_alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the attention (B, h, 1, hd) of q (B, h, 1, hd) to k and v (B, kv heads, T, hd).

    These are two matrix products, batched over texts and key-value heads. On the CPU they read keys
    and values faster than PyTorch's own attention.
    """
    rows, heads, _, size = q.shape
    queries = q.reshape(rows * k.shape[1], -1, size)  # (B * kv heads, heads of one, hd)
    # k and v flat: (B * kv heads, T, hd)
    scores = torch.bmm(k.flatten(0, 1), (queries * size**-0.5).transpose(1, 2))
    weights = scores.transpose(1, 2).softmax(dim=2)  # (B * kv heads, heads of one, T)
    return torch.bmm(weights, v.flatten(0, 1)).view(rows, heads, 1, size)  # (B, h, 1, hd)


def _rotate(x: Tensor, place: Place) -> Tensor:
    """Apply the rotary positions to x (B, heads, T, head size)."""
    first, second = x.chunk(2, dim=-1)
    return x * place.cos + torch.cat([-second, first], dim=-1) * place.sin

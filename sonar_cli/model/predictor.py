"""SONAR-LLM's predictor: a Llama decoder over sentence vectors instead of tokens.

Source: arXiv 2508.05305 and the authors' code: `forward_proj`, the layers of transformers'
LlamaModel, `reverse_proj`. A Llama reads token embeddings; this one reads projected vectors, so
the vocabulary embedding and `lm_head` of the published files are never used.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.config import PredictorConfig, RopeScaling


class PredictorCache:
    """Keys and values of the sentences seen, per layer (B, kv heads, T, head size)."""

    def __init__(self, layers: int) -> None:
        self._layers: list[tuple[Tensor, Tensor] | None] = [None] * layers
        self.length = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append one layer's keys and values of the new sentences; return all of them."""
        past = self._layers[layer]
        if past is not None:
            keys = torch.cat([past[0], keys], dim=2)
            values = torch.cat([past[1], values], dim=2)
        self._layers[layer] = (keys, values)
        return keys, values


class RMSNorm(nn.Module):
    """Root-mean-square normalization, computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., size) -> (..., size)."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class Attention(nn.Module):
    """Causal attention with rotary positions and grouped key-value heads, without biases."""

    JOINED: ClassVar = {"qkv": ("q", "k", "v")}

    def __init__(self, config: PredictorConfig) -> None:
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

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], cache: PredictorCache | None, layer: int
    ) -> Tensor:
        """X (B, T, hidden) -> (B, T, hidden)."""
        q, k, v = map(self._split, self._project(x))
        q, k = _rotate(q, rotation), _rotate(k, rotation)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=_causal_mask(q.shape[2], k.shape[2], q.device),
            enable_gqa=self.grouped,
        )
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
        """(..., hidden) -> (..., hidden)."""
        if self.gate_up is not None:
            gate, up = self.gate_up(x).chunk(2, dim=-1)
        else:
            gate, up = self.gate(x), self.up(x)
        result: Tensor = self.down(F.silu(gate) * up)
        return result


class PredictorLayer(nn.Module):
    """Pre-norm block: attention over the sentences so far, then SwiGLU."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.hidden, config.rms_eps)
        self.attn = Attention(config)
        self.ffn_norm = RMSNorm(config.hidden, config.rms_eps)
        self.ffn = SwiGLU(config.hidden, config.ffn)

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], cache: PredictorCache | None, layer: int
    ) -> Tensor:
        """X (B, T, hidden) -> (B, T, hidden)."""
        x = x + self.attn(self.attn_norm(x), rotation, cache, layer)
        result: Tensor = x + self.ffn(self.ffn_norm(x))
        return result


class Predictor(nn.Module):
    """Sentence vectors so far -> the next sentence's vector, at every position."""

    rates: Tensor

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.layers = nn.ModuleList(PredictorLayer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.rms_eps)
        self.reverse_proj = nn.Linear(config.hidden, config.embed_dim)
        rates = rotary_rates(config.head_dim, config.rope_theta, config.rope_scaling)
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, vectors: Tensor, cache: PredictorCache | None = None) -> Tensor:
        """Vectors (B, T, D), those after the cache's -> next vectors (B, T, D)."""
        result: Tensor = self.reverse_proj(self.hidden(vectors, cache))
        return result

    def hidden(self, vectors: Tensor, cache: PredictorCache | None = None) -> Tensor:
        """Vectors (B, T, D) -> hidden states after the final norm (B, T, hidden)."""
        start = 0 if cache is None else cache.length
        rotation = self._rotation(start, vectors.shape[1], vectors.dtype)
        x = self.forward_proj(vectors)
        for number, layer in enumerate(self.layers):
            x = layer(x, rotation, cache, number)
        if cache is not None:
            cache.length += vectors.shape[1]
        result: Tensor = self.norm(x)
        return result

    def new_cache(self) -> PredictorCache:
        """Return an empty cache for one batch of texts."""
        return PredictorCache(self.config.layers)

    def _rotation(self, start: int, count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        steps = torch.arange(start, start + count, device=self.rates.device, dtype=torch.float32)
        angles = torch.outer(steps, self.rates.float())  # (T, head size / 2)
        angles = torch.cat([angles, angles], dim=1)
        return angles.cos().to(dtype), angles.sin().to(dtype)


def rotary_rates(head_dim: int, theta: float, scaling: RopeScaling | None) -> Tensor:
    """Return the rotary angle per position (head_dim / 2,), float32, in radians.

    `theta ** (-2k / head_dim)`; with llama3 scaling, wavelengths beyond the original length are
    stretched by `factor`, short ones are left alone, and those between are interpolated.
    Source: transformers' `_compute_llama3_parameters`.
    """
    # On the CPU by name: models are built on the meta device, but no file holds these values.
    powers = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu") / head_dim
    rates = 1.0 / theta**powers
    if scaling is None:
        return rates
    wavelength = 2 * math.pi / rates
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    share = ((scaling.original_max_len / wavelength - low) / (high - low)).clamp(0.0, 1.0)
    return (1 - share) * rates / scaling.factor + share * rates


def add_noise(hidden: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Move hidden states (N, hidden) in a random direction by `temperature` times their RMS.

    The direction is normal noise scaled to length 1 (the authors' sampling). The noise is drawn on
    the CPU, so that a seed means the same draw whatever the device.
    """
    noise = torch.randn(hidden.shape, generator=generator, dtype=torch.float32).to(hidden.device)
    noise = noise / (noise.norm(dim=-1, keepdim=True) + 1e-12)
    rms = hidden.float().square().mean(-1, keepdim=True).sqrt()
    return (hidden.float() + temperature * rms * noise).to(hidden.dtype)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = rotation
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def _causal_mask(queries: int, keys: int, device: torch.device) -> Tensor | None:
    """Return (queries, keys) bool: the queries are the last positions of the keys."""
    if queries == 1:
        return None
    mask = torch.ones(queries, keys, dtype=torch.bool, device=device)
    return mask.tril(diagonal=keys - queries)

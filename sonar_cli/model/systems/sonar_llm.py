"""SONAR-LLM's predictor: a Llama decoder over sentence vectors instead of tokens.

Source: arXiv 2508.05305 and the authors' code: `forward_proj`, the layers of transformers'
LlamaModel, `reverse_proj`. A Llama reads token embeddings; this one reads projected vectors, so
the vocabulary embedding and `lm_head` of the published files are never used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.shapes import PredictorConfig, RopeScaling

# Sentences by which a cache grows at least; beyond twice that, by half.
_GROWTH = 64


class PredictorCache:
    """Keys and values of the sentences seen, of B texts that may differ in length.

    They lie in one piece of memory (2, layers, B, kv heads, capacity, head size) that grows in
    steps, so a new sentence costs the same whatever came before it.
    """

    def __init__(self, layers: int) -> None:
        self.lengths: list[int] = []
        self._layers = layers
        self._memory: Tensor | None = None

    @property
    def length(self) -> int:
        """The number of sentences of the longest text."""
        return max(self.lengths, default=0)

    @property
    def even(self) -> bool:
        """Whether all texts have the same length."""
        return len(set(self.lengths)) <= 1

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write one layer's keys and values (B, kv heads, T, head size) of the new sentences.

        Returns those of all sentences, of the longest text's length.
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
        """Close a step of `count` sentences a text."""
        self.lengths = [length + count for length in self.lengths]

    def put(self, row: int, text: PredictorCache) -> None:
        """Let row `row` (the next one, or one whose text has ended) hold another cache's text."""
        length = text.length
        if text._memory is not None:
            rows = max(row + 1, len(self.lengths))
            memory = self._reserve(max(length, self.length), text._memory[0, 0], rows)
            memory[:, :, row, :, :length] = text._memory[:, :, 0, :, :length]
        self.lengths[row : row + 1] = [length]

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        if self._memory is not None and rows != list(range(len(self.lengths))):
            self._memory = self._memory[:, :, rows]
        self.lengths = [self.lengths[row] for row in rows]

    def _reserve(self, length: int, like: Tensor, rows: int | None = None) -> Tensor:
        """Return memory for `length` sentences of `rows` texts, with what there is in it."""
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
    """Where new sentences stand: rotary cosines and sines (1 or B, 1, T, head size), and a mask.

    The mask (1 or B, 1, T, all) bool tells what each sees; None with `causal` means the sentences
    are the first and see those before them, None without it that one sentence sees all.
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

    def forward(self, x: Tensor, place: Place, cache: PredictorCache | None, layer: int) -> Tensor:
        """X (B, T, hidden) -> (B, T, hidden)."""
        q, k, v = map(self._split, self._project(x))
        q, k = _rotate(q, place), _rotate(k, place)
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        if q.shape[2] == 1 and place.mask is None and q.is_cpu:
            mixed = _attend_alone(q, k, v)
        else:
            mixed = F.scaled_dot_product_attention(
                q, k, v, attn_mask=place.mask, is_causal=place.causal, enable_gqa=self.grouped
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

    def forward(self, x: Tensor, place: Place, cache: PredictorCache | None, layer: int) -> Tensor:
        """X (B, T, hidden) -> (B, T, hidden)."""
        x = x + self.attn(self.attn_norm(x), place, cache, layer)
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
        place = self._place(vectors, cache)
        x = self.forward_proj(vectors)
        for number, layer in enumerate(self.layers):
            x = layer(x, place, cache, number)
        if cache is not None:
            cache.advance(vectors.shape[1])
        result: Tensor = self.norm(x)
        return result

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that vectors come in; int8 weights take float32."""
        return self.norm.weight.dtype

    def new_cache(self) -> PredictorCache:
        """Return an empty cache for one batch of texts."""
        return PredictorCache(self.config.layers)

    def _place(self, vectors: Tensor, cache: PredictorCache | None) -> Place:
        """Tell where the new sentences (B, T, D) stand in their texts."""
        count = vectors.shape[1]
        lengths = (cache.lengths if cache is not None else []) or [0]
        longest = max(lengths)
        even = len(set(lengths)) == 1
        if count > 1 and not even:
            raise ValueError("texts of different lengths take one sentence at a time")
        starts = torch.tensor(lengths[:1] if even else lengths, device=self.rates.device)
        steps = starts[:, None] + torch.arange(count, device=starts.device)  # (1 or B, T)
        angles = steps[:, None, :, None] * self.rates.float()  # (1 or B, 1, T, head size / 2)
        angles = torch.cat([angles, angles], dim=3)
        # Alone in front the plain causal mask is right, and needs no memory of T x T.
        mask = None
        if not even or (count > 1 and longest > 0):
            everything = torch.arange(longest + count, device=starts.device)
            mask = everything <= steps[:, None, :, None]  # (1 or B, 1, T, all)
        causal = count > 1 and mask is None
        return Place(angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype), mask, causal)


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


def _attend_alone(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let one sentence (B, h, 1, hd) attend to all, k and v (B, kv heads, T, hd) -> as q.

    Two batches of products by head, which on the CPU read keys and values faster than PyTorch's
    attention does.
    """
    rows, heads, _, size = q.shape
    queries = q.reshape(rows * k.shape[1], -1, size)  # (B * kv heads, heads of one, hd)
    scores = torch.bmm(k.flatten(0, 1), (queries * size**-0.5).transpose(1, 2))
    weights = scores.transpose(1, 2).softmax(dim=2)  # (B * kv heads, heads of one, T)
    return torch.bmm(weights, v.flatten(0, 1)).view(rows, heads, 1, size)


def _rotate(x: Tensor, place: Place) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * place.cos + torch.cat([-second, first], dim=-1) * place.sin

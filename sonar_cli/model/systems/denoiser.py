"""The second tower of a two-tower LCM, which predicts a clean vector from a noisy one.

Source: Large Concept Models, arXiv 2412.08821, and Meta's `two_tower_diffusion_lcm`. The outputs of
the first tower, the contexts, enter through cross-attention, after a vector of zeros that stands
for no context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.attention import attention
from sonar_cli.model.recompute import through
from sonar_cli.model.shapes import TwoTowerConfig
from sonar_cli.model.systems.llama import RMSNorm, SwiGLU

# Number of cosines and sines that represent a time.
WAVES = 256
# The longest period of a cosine or sine, in times, divided by 2 pi.
_PERIOD = 10_000.0
# Keys and values of contexts, each (B, heads, S, head size).
Keys = tuple[Tensor, Tensor]


class TimeEmbedding(nn.Module):
    """Embedding of times: cosines and sines, then two linear maps (DiT, arXiv 2212.09748)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(WAVES, width)
        self.down = nn.Linear(width, width)

    def forward(self, times: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the embeddings (..., width), in `dtype`, of times (...) int64."""
        half = WAVES // 2
        rates = torch.exp(-math.log(_PERIOD) * torch.arange(half, device=times.device) / half)
        angles = times.float().unsqueeze(-1) * rates  # (..., WAVES / 2)
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(dtype)
        result: Tensor = self.down(F.silu(self.up(waves)))
        return result


class CrossAttention(nn.Module):
    """Attention of noisy vectors to contexts, without positions and biases."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        inner = config.heads * config.head_dim
        self.q = nn.Linear(config.hidden, inner, bias=False)
        self.k = nn.Linear(config.hidden, inner, bias=False)
        self.v = nn.Linear(config.hidden, inner, bias=False)
        self.out = nn.Linear(inner, config.hidden, bias=False)

    def forward(self, x: Tensor, contexts: Tensor | Keys, mask: Tensor) -> Tensor:
        """Return the attention (B, T, hidden) of x (B, T, hidden) to contexts (B, S, hidden).

        These may be read already. `mask` (B or 1, T, S) bool is True where x may attend.
        """
        k, v = self.read(contexts) if isinstance(contexts, Tensor) else contexts
        mixed = attention(self._split(self.q(x)), k, v, mask.unsqueeze(1))
        # (B, heads, T, head size) -> (B, T, heads * head size)
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

    def read(self, contexts: Tensor) -> Keys:
        """Return the keys and values of contexts (B, S, hidden); those of a zero are zeros."""
        return self._split(self.k(contexts)), self._split(self.v(contexts))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, self.head_dim)).transpose(1, 2)  # (B, heads, T, head size)


class OwnPosition(nn.Module):
    """Self-attention in which a position sees only itself: `out(v(x))`.

    The softmax over one score is 1, so queries and keys are not needed.
    """

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.v = nn.Linear(config.hidden, inner, bias=False)
        self.out = nn.Linear(inner, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output (..., hidden) for x (..., hidden)."""
        result: Tensor = self.out(self.v(x))
        return result


class DenoiserLayer(nn.Module):
    """Own position, cross-attention and SwiGLU, each shifted, scaled and gated by the time.

    The gates are initially 0, so an untrained layer returns its input (DiT's adaLN-Zero).
    """

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.own = OwnPosition(config)
        self.cross = CrossAttention(config)
        self.ffn = SwiGLU(config.hidden, config.ffn)
        self.norms = nn.ModuleList(RMSNorm(config.hidden, config.rms_eps) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)
        self.modulation = nn.Linear(config.hidden, 9 * config.hidden)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, time: Tensor, contexts: Tensor | Keys, mask: Tensor) -> Tensor:
        """Return the output (B, T, hidden) for x and the times' embeddings, both (B, T, hidden).

        `contexts` are (B, S, hidden), or the layer's keys and values of them; `mask` is
        (B or 1, T, S) bool.
        """
        blocks: tuple[Callable[[Tensor], Tensor], ...] = (
            self.own,
            partial(self.cross, contexts=contexts, mask=mask),
            self.ffn,
        )
        modulation = self.modulation(F.silu(time)).chunk(3, dim=-1)  # each (B, T, 3 * hidden)
        for norm, block, (shift, scale, gate) in zip(
            self.norms, blocks, (each.chunk(3, dim=-1) for each in modulation), strict=True
        ):
            x = x + gate * self.dropout(block(norm(x) * (1 + scale) + shift))
        return x


class Denoiser(nn.Module):
    """Predicts clean vectors from noisy vectors, their times and the contexts.

    Training sets `recompute` to keep only the layers' inputs for the backward pass.
    """

    recompute = False

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.time = TimeEmbedding(config.hidden)
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.layers = nn.ModuleList(DenoiserLayer(config) for _ in range(config.denoiser_layers))
        self.norm = RMSNorm(config.hidden, config.rms_eps)
        self.reverse_proj = nn.Linear(config.hidden, config.embed_dim)

    def forward(
        self, noisy: Tensor, times: Tensor, contexts: Tensor | Sequence[Keys], mask: Tensor
    ) -> Tensor:
        """Return clean vectors (B, T, D) for noisy ones (B, T, D) at times (B, T) int64.

        `contexts` are (B, S, hidden), and a vector of zeros is put in front of them; or they are
        each layer's keys and values, which have it in front. `mask` (B or 1, T, 1 + S) bool
        includes it.
        """
        x, time = self.forward_proj(noisy), self.time(times, noisy.dtype)
        given: Sequence[Tensor | Keys] = (
            [F.pad(contexts, (0, 0, 1, 0))] * len(self.layers)
            if isinstance(contexts, Tensor)
            else contexts
        )
        for layer, known in zip(self.layers, given, strict=True):
            x = through(layer, x, time, known, mask, recompute=self.recompute)
        result: Tensor = self.reverse_proj(self.norm(x))
        return result

"""Two-tower LCM: a causal transformer reads the sentences, a denoiser samples the next vector.

Source: Large Concept Models, arXiv 2412.08821, and Meta's `two_tower_diffusion_lcm`. Both towers
work on normalized vectors. The denoiser sees a text's contexts through cross-attention, with a
vector of zeros in front that stands for no context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.shapes import TwoTowerConfig
from sonar_cli.model.systems.diffusion import add_noise, cosine_signal, sample
from sonar_cli.model.systems.llama import KVCache, Llama, RMSNorm, SwiGLU
from sonar_cli.model.systems.scaler import RobustScaler
from sonar_cli.model.systems.state import LCM_END, TextsState, lcm_stop
from sonar_cli.options import GenerationOptions, StopReason

# Cosines and sines that a time is written with, and the longest of their periods over 2 pi.
_WAVES, _PERIOD = 256, 10_000.0
# Share of the rows that are trained without context, so that guidance has something to leave.
NO_CONTEXT = 0.15


class TimeEmbedding(nn.Module):
    """Times -> vectors: cosines and sines, then two linear maps (DiT, arXiv 2212.09748)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(_WAVES, width)
        self.down = nn.Linear(width, width)

    def forward(self, times: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Times (...) int64 -> (..., width) of a dtype."""
        half = _WAVES // 2
        rates = torch.exp(-math.log(_PERIOD) * torch.arange(half, device=times.device) / half)
        angles = times.float().unsqueeze(-1) * rates
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1).to(dtype)
        result: Tensor = self.down(F.silu(self.up(waves)))
        return result


class CrossAttention(nn.Module):
    """Attention of noisy vectors over contexts, without positions and biases."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        inner = config.heads * config.head_dim
        self.q = nn.Linear(config.hidden, inner, bias=False)
        self.k = nn.Linear(config.hidden, inner, bias=False)
        self.v = nn.Linear(config.hidden, inner, bias=False)
        self.out = nn.Linear(inner, config.hidden, bias=False)

    def forward(self, x: Tensor, contexts: Tensor, mask: Tensor) -> Tensor:
        """X (B, T, hidden) over contexts (B, S, hidden), mask (B or 1, T, S) bool -> as x."""
        q, k, v = map(self._split, (self.q(x), self.k(contexts), self.v(contexts)))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.unsqueeze(1))
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, self.head_dim)).transpose(1, 2)  # (B, heads, T, head size)


class OwnPosition(nn.Module):
    """Self-attention that sees its own position alone: over one thing it is that thing's value."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        inner = config.heads * config.head_dim
        self.v = nn.Linear(config.hidden, inner, bias=False)
        self.out = nn.Linear(inner, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., hidden) -> (..., hidden)."""
        result: Tensor = self.out(self.v(x))
        return result


class DenoiserLayer(nn.Module):
    """Own position, cross-attention and SwiGLU, each shifted, scaled and gated by the time.

    The gates begin at 0, so that an untrained layer passes its input on as it is.
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

    def forward(self, x: Tensor, time: Tensor, contexts: Tensor, mask: Tensor) -> Tensor:
        """X and the times' embeddings (B, T, hidden), contexts (B, S, hidden) -> as x."""
        blocks: tuple[Callable[[Tensor], Tensor], ...] = (
            self.own,
            partial(self.cross, contexts=contexts, mask=mask),
            self.ffn,
        )
        modulation = self.modulation(F.silu(time)).chunk(3, dim=-1)
        for norm, block, (shift, scale, gate) in zip(
            self.norms, blocks, (each.chunk(3, dim=-1) for each in modulation), strict=True
        ):
            x = x + gate * self.dropout(block(norm(x) * (1 + scale) + shift))
        return x


class Denoiser(nn.Module):
    """Noisy vectors, their times and the contexts -> the clean vectors."""

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__()
        self.time = TimeEmbedding(config.hidden)
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.layers = nn.ModuleList(DenoiserLayer(config) for _ in range(config.denoiser_layers))
        self.norm = RMSNorm(config.hidden, config.rms_eps)
        self.reverse_proj = nn.Linear(config.hidden, config.embed_dim)

    def forward(self, noisy: Tensor, times: Tensor, contexts: Tensor, mask: Tensor) -> Tensor:
        """Noisy (B, T, D), times (B, T) int64, contexts (B, S, hidden) -> clean (B, T, D).

        A vector of zeros is put before the contexts; mask (B or 1, T, 1 + S) bool counts it.
        """
        zeros = contexts.new_zeros(len(contexts), 1, contexts.shape[2])
        contexts = torch.cat([zeros, contexts], dim=1)
        x, time = self.forward_proj(noisy), self.time(times, noisy.dtype)
        for layer in self.layers:
            x = layer(x, time, contexts, mask)
        result: Tensor = self.reverse_proj(self.norm(x))
        return result


class TwoTowerLCM(Llama):
    """The contextualizer, which this is itself, and the denoiser; both on normalized vectors."""

    signal: Tensor

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__(config)
        self.config = config
        self.scaler = RobustScaler(config.embed_dim)
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.denoiser = Denoiser(config)
        # By name on the CPU: models are built on the meta device, but no file holds these values.
        with torch.device("cpu"):
            signal = cosine_signal(config.diffusion_steps)
        self.register_buffer("signal", signal, persistent=False)

    def hidden(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Vectors (B, T, D), those after the cache's -> contexts (B, T, hidden)."""
        return self.run(self.forward_proj(self.scaler.normalize(vectors)), cache)

    def loss(self, vectors: Tensor, mask: Tensor) -> Tensor:
        """Squared error of the denoised vectors, in normalized space.

        Vectors (B, T, D), mask (B, T) bool, True where there is a sentence. Every sentence is a
        target, at a time of its own; it sees the contexts before it, and a share of the texts sees
        none. Summed over D, mean over the targets.
        """
        clean = self.scaler.normalize(vectors)
        times = torch.randint(len(self.signal), mask.shape, device=vectors.device)
        noisy = add_noise(clean, torch.randn_like(clean), self.signal[times])
        contexts = self.hidden(vectors)[:, :-1]
        count = vectors.shape[1]
        seen = torch.ones(count, count, dtype=torch.bool, device=vectors.device).tril()
        alone = torch.rand(len(vectors), 1, 1, device=vectors.device) < NO_CONTEXT
        first = torch.arange(count, device=vectors.device) == 0
        found = self.denoiser(noisy, times, contexts, torch.where(alone, first, seen))
        errors = (found - clean).square().sum(-1)
        return errors[mask].mean()

    def sample(
        self, contexts: Tensor, lengths: Tensor, noise: Tensor, steps: int, guidance: float
    ) -> Tensor:
        """Sample the next vectors (N, D) of N texts.

        Contexts (N, S, hidden), of which the first `lengths` (N,) are a text's; noise (N, D)
        float32, in which the sampling is done.
        """
        places = torch.arange(contexts.shape[1] + 1, device=contexts.device)
        seen = (places <= lengths[:, None])[:, None]  # (N, 1, 1 + S)
        alone = (places == 0).expand_as(seen)

        def denoise(noisy: Tensor, time: int) -> tuple[Tensor, Tensor]:
            pair = noisy.to(contexts.dtype).repeat(2, 1).unsqueeze(1)  # (2 N, 1, D)
            times = torch.full(pair.shape[:2], time, device=noisy.device)
            masks = torch.cat([seen, alone])
            found = self.denoiser(pair, times, contexts.repeat(2, 1, 1), masks)
            with_context, without = found[:, 0].float().chunk(2)
            return with_context, without

        clean = sample(denoise, noise, self.signal, steps, guidance)
        return self.scaler.denormalize(clean)


class LCMDiffusionSystem:
    """A codec and a two-tower LCM of the codec's width."""

    def __init__(self, codec: Codec, model: TwoTowerLCM) -> None:
        self.codec = codec
        self.model = model

    def start(self, options: GenerationOptions) -> LCMDiffusionState:
        """Return a state without any text."""
        return LCMDiffusionState(self.codec, self.model, options)


class LCMDiffusionState(TextsState):
    """Texts of a two-tower LCM: all their contexts; the sampled vector goes on as it is."""

    def __init__(self, codec: Codec, model: TwoTowerLCM, options: GenerationOptions) -> None:
        super().__init__(codec, model, options, "vector", LCM_END)
        self.model = model
        self.contexts: list[Tensor] = []  # (sentences, hidden) a text

    def opened(self, hidden: Tensor) -> None:
        """Keep a new text's contexts (T, hidden)."""
        self.contexts.append(hidden)

    def went_on(self, hidden: Sequence[Tensor]) -> None:
        """Add each text's next context (1, hidden)."""
        self.contexts = [
            torch.cat([old, new]) for old, new in zip(self.contexts, hidden, strict=True)
        ]

    def keep(self, rows: list[int]) -> None:
        """Drop all texts but these."""
        super().keep(rows)
        self.contexts = [self.contexts[row] for row in rows]

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Sample the next vectors (B * K, D), each from noise of its text's own generator."""
        count = self.options.candidates
        lengths = torch.tensor([len(each) for each in self.contexts]).repeat_interleave(count)
        contexts = nn.utils.rnn.pad_sequence(self.contexts, batch_first=True)
        width = self.model.config.embed_dim
        noise = torch.cat([torch.randn(count, width, generator=each) for each in random])
        return self.model.sample(
            contexts.repeat_interleave(count, dim=0),
            lengths.to(contexts.device),
            (self.options.initial_noise * noise).to(contexts.device),
            self.options.diffusion_steps,
            self.options.guidance,
        ).float()

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        """End as the Large Concept Models do; see `lcm_stop`."""
        return lcm_stop(new, to_end, written, self.options)

"""Two-tower LCM: a causal transformer reads the sentences, a denoiser samples the next vector.

Source: Large Concept Models, arXiv 2412.08821, and Meta's `two_tower_diffusion_lcm`. Both towers
work on normalized vectors. The outputs of the first tower, the contexts, enter the denoiser through
cross-attention, after a vector of zeros that stands for no context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.attention import attention
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.recompute import through
from sonar_cli.model.shapes import TwoTowerConfig
from sonar_cli.model.systems.diffusion import add_noise, cosine_signal, sample
from sonar_cli.model.systems.llama import KVCache, Llama, RMSNorm, SwiGLU
from sonar_cli.model.systems.scaler import RobustScaler
from sonar_cli.model.systems.state import LCM_END, TextsState, lcm_stop
from sonar_cli.options import GenerationOptions, StopReason

# Number of cosines and sines that represent a time.
WAVES = 256
# The longest period of a cosine or sine, in times, divided by 2 pi.
_PERIOD = 10_000.0
# Share of the texts that are trained without context, as classifier-free guidance needs it.
NO_CONTEXT = 0.15


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

    def forward(self, x: Tensor, contexts: Tensor, mask: Tensor) -> Tensor:
        """Return the attention (B, T, hidden) of x (B, T, hidden) to contexts (B, S, hidden).

        `mask` (B or 1, T, S) bool is True where x may attend.
        """
        q, k, v = map(self._split, (self.q(x), self.k(contexts), self.v(contexts)))
        mixed = attention(q, k, v, mask.unsqueeze(1))
        # (B, heads, T, head size) -> (B, T, heads * head size)
        merged: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return merged

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

    def forward(self, x: Tensor, time: Tensor, contexts: Tensor, mask: Tensor) -> Tensor:
        """Return the output (B, T, hidden) for x and the times' embeddings, both (B, T, hidden).

        `contexts` are (B, S, hidden), `mask` (B or 1, T, S) bool.
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

    def forward(self, noisy: Tensor, times: Tensor, contexts: Tensor, mask: Tensor) -> Tensor:
        """Return clean vectors (B, T, D) for noisy ones (B, T, D) at times (B, T) int64.

        `contexts` are (B, S, hidden); a vector of zeros is put in front of them, and `mask`
        (B or 1, T, 1 + S) bool includes it.
        """
        zeros = contexts.new_zeros(len(contexts), 1, contexts.shape[2])
        contexts = torch.cat([zeros, contexts], dim=1)
        x, time = self.forward_proj(noisy), self.time(times, noisy.dtype)
        for layer in self.layers:
            x = through(layer, x, time, contexts, mask, recompute=self.recompute)
        result: Tensor = self.reverse_proj(self.norm(x))
        return result


class TwoTowerLCM(Llama):
    """A two-tower LCM: a Llama stack is the contextualizer, `denoiser` the second tower.

    `signal` (T,) is the noise schedule.
    """

    signal: Tensor

    def __init__(self, config: TwoTowerConfig) -> None:
        super().__init__(config)
        self.config = config
        self.scaler = RobustScaler(config.embed_dim)
        self.forward_proj = nn.Linear(config.embed_dim, config.hidden)
        self.denoiser = Denoiser(config)
        # On the CPU even if the model is built on the meta device: no checkpoint provides it.
        with torch.device("cpu"):
            signal = cosine_signal(config.diffusion_steps)
        self.register_buffer("signal", signal, persistent=False)

    def hidden(self, vectors: Tensor, cache: KVCache | None = None) -> Tensor:
        """Return the contexts (B, T, hidden) of vectors (B, T, D) that follow the cache."""
        return self.run(self.forward_proj(self.scaler.normalize(vectors)), cache)

    def errors(self, vectors: Tensor, mask: Tensor, targets: Tensor | None = None) -> Tensor:
        """Return the squared errors of the denoised vectors (errors,), in normalized space.

        Vectors are (B, T, D), mask (B, T) bool is True where there is a sentence. `targets`
        (B, T, D) are what is to be denoised at each place; None for the vectors themselves. Every
        sentence's target has a random time of its own. It sees the contexts of the sentences before
        it; the share `NO_CONTEXT` of the texts sees none. An error is a sum over D; training
        minimizes their mean.
        """
        clean = self.scaler.normalize(vectors if targets is None else targets)
        times = torch.randint(len(self.signal), mask.shape, device=vectors.device)
        noisy = add_noise(clean, torch.randn_like(clean), self.signal[times])
        contexts = self.hidden(vectors)[:, :-1]  # (B, T - 1, hidden)
        count = vectors.shape[1]
        # (T, 1 + T - 1): the vector of zeros, then the contexts
        seen = torch.ones(count, count, dtype=torch.bool, device=vectors.device).tril()
        dropped = torch.rand(len(vectors), 1, 1, device=vectors.device) < NO_CONTEXT  # (B, 1, 1)
        zeros_only = torch.arange(count, device=vectors.device) == 0  # (T,)
        found = self.denoiser(noisy, times, contexts, torch.where(dropped, zeros_only, seen))
        return (found - clean).square().sum(-1)[mask]

    def sample(
        self, contexts: Tensor, lengths: Tensor, noise: Tensor, steps: int, guidance: float
    ) -> Tensor:
        """Sample the next vectors (N, D) float32 of N texts.

        `contexts` (N, S, hidden) are padded: a text has the first `lengths` (N,) int64 of them.
        Sampling starts from `noise` (N, D) float32; see `diffusion.sample` for the rest.
        """
        places = torch.arange(contexts.shape[1] + 1, device=contexts.device)
        seen = (places <= lengths[:, None])[:, None]  # (N, 1, 1 + S)
        zeros_only = (places == 0).expand_as(seen)

        def denoise(noisy: Tensor, time: int) -> tuple[Tensor, Tensor]:
            pair = noisy.to(contexts.dtype).repeat(2, 1).unsqueeze(1)  # (2 N, 1, D)
            times = torch.full(pair.shape[:2], time, device=noisy.device)
            masks = torch.cat([seen, zeros_only])
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
        """Return a state without texts."""
        return LCMDiffusionState(self.codec, self.model, options)


class LCMDiffusionState(TextsState):
    """Texts that a two-tower LCM writes; by default it reads its sampled vectors as they are.

    All contexts of a text are kept, because the denoiser attends to them.
    """

    def __init__(self, codec: Codec, model: TwoTowerLCM, options: GenerationOptions) -> None:
        super().__init__(codec, model, options, "vector", LCM_END)
        self.model = model
        self.contexts: list[Tensor] = []  # each (T, hidden)

    def opened(self, hidden: Tensor) -> None:
        """Keep a new text's contexts (T, hidden)."""
        self.contexts.append(hidden)

    def went_on(self, hidden: Sequence[Tensor]) -> None:
        """Add each text's next context (1, hidden)."""
        self.contexts = [
            torch.cat([old, new]) for old, new in zip(self.contexts, hidden, strict=True)
        ]

    def keep(self, rows: list[int]) -> None:
        """Drop all texts but these rows."""
        super().keep(rows)
        self.contexts = [self.contexts[row] for row in rows]

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Sample the next vectors (B * K, D) float32, from noise of each text's own generator."""
        count = self.drawing.candidates
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

"""Two-tower LCM: a causal transformer reads the sentences, a denoiser samples the next vector.

Source: Large Concept Models, arXiv 2412.08821, and Meta's `two_tower_diffusion_lcm`. Both towers
work on normalized vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sonar_cli.model.codec.base import Codec
from sonar_cli.model.finite import require_finite
from sonar_cli.model.shapes import TwoTowerConfig
from sonar_cli.model.systems.denoiser import Denoiser, DenoiserLayer
from sonar_cli.model.systems.diffusion import add_noise, cosine_signal, sample
from sonar_cli.model.systems.llama import KVCache, Llama
from sonar_cli.model.systems.scaler import RobustScaler
from sonar_cli.model.systems.state import LCM_END, TextsState, lcm_stop
from sonar_cli.options import GenerationOptions, StopReason

# Share of the texts that are trained without context, as classifier-free guidance needs it.
NO_CONTEXT = 0.15


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

    def keys(self, contexts: Tensor) -> Tensor:
        """Return the denoiser's keys and values of contexts (B, S, hidden).

        They are (layers, 2, B, heads, S, head size), and the same at every step of a sampling.
        """
        layers = cast("list[DenoiserLayer]", list(self.denoiser.layers))
        return torch.stack([torch.stack(layer.cross.read(contexts)) for layer in layers])

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
        self, keys: Tensor, lengths: Tensor, noise: Tensor, steps: int, guidance: float
    ) -> Tensor:
        """Sample the next vectors (N, D) float32 of N texts.

        `keys` (layers, 2, N, heads, S, head size) are those of the texts' contexts, padded: a text
        has the first `lengths` (N,) int64 of them. Sampling starts from `noise` (N, D) float32; see
        `diffusion.sample` for the rest.
        """
        # A zero in front, which is no context; then each text twice.
        keys = F.pad(keys, (0, 0, 1, 0)).unsqueeze(2)
        pairs = [(k, v) for k, v in keys.expand(-1, -1, 2, -1, -1, -1, -1).flatten(2, 3)]
        places = torch.arange(keys.shape[-2], device=keys.device)
        seen = (places <= lengths[:, None])[:, None]  # (N, 1, 1 + S)
        zeros_only = (places == 0).expand_as(seen)

        def denoise(noisy: Tensor, time: int) -> tuple[Tensor, Tensor]:
            pair = noisy.to(keys.dtype).repeat(2, 1).unsqueeze(1)  # (2 N, 1, D)
            times = torch.full(pair.shape[:2], time, device=noisy.device)
            found = self.denoiser(pair, times, pairs, torch.cat([seen, zeros_only]))
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

    The denoiser's keys and values of all contexts of a text are kept.
    """

    def __init__(self, codec: Codec, model: TwoTowerLCM, options: GenerationOptions) -> None:
        super().__init__(codec, model, options, "vector", LCM_END)
        self.model = model
        self.keys: list[Tensor] = []  # each (layers, 2, heads, T, head size)

    def opened(self, hidden: Tensor) -> None:
        """Read a new text's contexts (T, hidden)."""
        self.keys.append(self.model.keys(hidden.unsqueeze(0)).squeeze(2))

    def went_on(self, hidden: Sequence[Tensor]) -> None:
        """Read each text's next context (1, hidden)."""
        following = self.model.keys(torch.stack(list(hidden))).unbind(2)
        self.keys = [
            torch.cat([old, new], dim=3) for old, new in zip(self.keys, following, strict=True)
        ]

    def keep(self, rows: list[int]) -> None:
        """Drop all texts but these rows."""
        super().keep(rows)
        self.keys = [self.keys[row] for row in rows]

    def propose(self, random: Sequence[torch.Generator]) -> Tensor:
        """Sample the next vectors (B * K, D) float32, from noise of each text's own generator."""
        count = self.drawing.candidates
        lengths = torch.tensor([each.shape[3] for each in self.keys])
        longest = int(lengths.max())
        keys = torch.stack(
            [F.pad(each, (0, 0, 0, longest - each.shape[3])) for each in self.keys], dim=2
        )
        width = self.model.config.embed_dim
        noise = torch.cat([torch.randn(count, width, generator=each) for each in random])
        sampled = self.model.sample(
            keys.repeat_interleave(count, dim=2),
            lengths.repeat_interleave(count).to(keys.device),
            (self.options.initial_noise * noise).to(keys.device),
            self.options.diffusion_steps,
            self.options.guidance,
        )
        return require_finite(sampled.float(), self.model, "vectors")

    def stops(self, new: Tensor, to_end: float, written: Sequence[Tensor]) -> StopReason | None:
        """End as the Large Concept Models do; see `lcm_stop`."""
        return lcm_stop(new, to_end, written, self.options)

"""The four systems with the embedded codec and tiny random networks, and stories to hold out."""

from __future__ import annotations

from functools import lru_cache

import torch

from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import AnySystem, load_codec
from sonar_cli.model.shapes import LCMConfig, PredictorConfig, TokenLLMConfig, TwoTowerConfig
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem, TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM, LCMMSESystem
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import GenerationOptions, Runtime
from sonar_cli.world import stories as world

SHAPE = {"hidden": 32, "ffn": 48, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 8}
KINDS = ("sonar-llm", "lcm-mse", "lcm-diffusion", "llm")
# A sampling of few steps.
QUICK = GenerationOptions(diffusion_steps=3, seed=0)
# Of different lengths; the middle one has nothing to foretell.
TEXTS = [
    list(story.sentences[:length])
    for story, length in zip(world.stories(3, 1_000, held_out=True), (4, 1, 3), strict=True)
]


@lru_cache(maxsize=1)
def codec() -> NativeCodec:
    found = load_codec(resolve(), Runtime("cpu"))
    assert isinstance(found, NativeCodec)
    return found


def system(kind: str, begin: bool = False) -> AnySystem:
    """Return a system of a kind; its weights are the same every time."""
    torch.manual_seed(0)
    own, width = codec(), codec().width
    if kind == "llm":
        config = TokenLLMConfig(vocab_size=own.tokenizer.vocab_size, **SHAPE)
        return TokenLLMSystem(own.tokenizer, TokenLLM(config).eval().requires_grad_(False))
    if kind == "sonar-llm":
        shape = PredictorConfig(embed_dim=width, add_begin=begin, **SHAPE)
        return SonarLLMSystem(own, Predictor(shape).eval().requires_grad_(False))
    network: BaseLCM | TwoTowerLCM
    if kind == "lcm-mse":
        network = BaseLCM(LCMConfig(embed_dim=width, **SHAPE))
    else:
        network = TwoTowerLCM(
            TwoTowerConfig(embed_dim=width, denoiser_layers=1, diffusion_steps=6, **SHAPE)
        )
        for layer in network.denoiser.layers:  # as after training: zeros would hide what is inside
            torch.nn.init.normal_(layer.modulation.weight, std=0.3)
    network.scaler.fit(own.encode([each for text in TEXTS for each in text]))
    network.eval().requires_grad_(False)
    if isinstance(network, BaseLCM):
        return LCMMSESystem(own, network)
    return LCMDiffusionSystem(own, network)

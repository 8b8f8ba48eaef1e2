"""The networks of a system to take times of: those of a loaded system, or of random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.bench.weights import Sizes, random_state
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.formats.codec import read_decoder, read_encoder
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.model.formats.system import OWN
from sonar_cli.model.load import AnySystem, build, pick_device, pick_dtype, prepare
from sonar_cli.model.shapes import (
    SONAR_LLM,
    TOKEN_LLM,
    LCMConfig,
    LlamaConfig,
    TokenLLMConfig,
    TwoTowerConfig,
)
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import ModelPaths

# Share of a two-tower LCM's layers that are the contextualizer's, as in Meta's at 1.6 B.
_CONTEXTUALIZER = 5 / 18

Network = Predictor | BaseLCM | TwoTowerLCM | TokenLLM


@dataclass(frozen=True)
class Networks:
    """The networks of a system, ready to run; `name` is its kind.

    A token-level one has no encoder and no decoder.
    """

    name: str
    network: Network
    encoder: TextEncoder | None = None
    decoder: TextDecoder | None = None


def sizes_of(paths: ModelPaths) -> Sizes:
    """Return the shapes of a model's files, as `weights.FULL` has those of SONAR and the 900m.

    Raises UsageError for a codec alone, CheckpointError where the files cannot be read.

    >>> from sonar_cli.hub.resolve import resolve
    >>> mini = sizes_of(resolve())
    >>> mini.encoder.width == mini.decoder.width == mini.predictor.embed_dim
    True
    """
    if paths.predictor is None:
        raise UsageError("this model is a codec alone; name one with a predictor")
    return Sizes(
        read_encoder(paths.encoder)[0],
        read_decoder(paths.decoder)[0],
        read_predictor(paths.predictor, paths.predictor_config)[0],
    )


def networks_of(system: AnySystem) -> Networks:
    """Return the networks of a loaded system. Raises UsageError for a codec that is not ours."""
    if isinstance(system, TokenLLMSystem):
        return Networks(TOKEN_LLM, system.model)
    if not isinstance(system.codec, NativeCodec):
        raise UsageError("times are those of a system with our own codec")
    network = system.predictor if isinstance(system, SonarLLMSystem) else system.model
    return Networks(_kind(type(network)), network, system.codec.encoder, system.codec.decoder)


def random_networks(
    config: LlamaConfig, sizes: Sizes, device: str = "auto", dtype: str = "auto"
) -> Networks:
    """Return networks with random weights: one of a config (see `shapes`), the codec of `sizes`.

    Raises UsageError for a device or dtype that is not available.
    """
    where, numbers = pick_device(device), pick_dtype(dtype)

    def made(model: Callable[[Any], Any], shape: Any) -> Any:
        return prepare(build(model, shape, random_state(model, shape), where, numbers), dtype)

    own = next((each for shape, each in OWN.values() if type(config) is shape), Predictor)
    network = made(own, config)
    if isinstance(network, TokenLLM):
        return Networks(TOKEN_LLM, network)
    halves = made(TextEncoder, sizes.encoder), made(TextDecoder, sizes.decoder)
    return Networks(_kind(own), network, *halves)


def shapes(sizes: Sizes) -> dict[str, LlamaConfig]:
    """Return the shapes of all four systems, by kind, at the size of the predictor of `sizes`.

    The stacks are the same. Only the two-tower LCM's layers are shared out between its towers, so
    that both have about as many weights together.

    >>> from sonar_cli.evaluation.bench.weights import FULL
    >>> two_tower = shapes(FULL)["lcm-diffusion"]
    >>> two_tower.layers, two_tower.denoiser_layers
    (5, 7)
    """
    own = sizes.predictor
    llama: dict[str, Any] = {each.name: getattr(own, each.name) for each in fields(LlamaConfig)}
    lcm = llama | {"embed_dim": own.embed_dim, "rope_theta": 10_000.0, "rope_scaling": None}
    first = max(1, round(own.layers * _CONTEXTUALIZER))
    inner, kv, ffn = own.heads * own.head_dim, own.kv_heads * own.head_dim, 3 * own.hidden * own.ffn
    layer = 2 * own.hidden * (inner + kv) + ffn
    denoising = 6 * own.hidden * inner + ffn + 9 * own.hidden**2
    second = max(1, round((own.layers - first) * layer / denoising))
    return {
        SONAR_LLM: own,
        "lcm-mse": LCMConfig(**lcm),
        "lcm-diffusion": TwoTowerConfig(**lcm | {"layers": first}, denoiser_layers=second),
        TOKEN_LLM: TokenLLMConfig(**llama, vocab_size=sizes.decoder.vocab_size),
    }


def _kind(network: type[Any]) -> str:
    return next((kind for kind, (_, each) in OWN.items() if each is network), SONAR_LLM)

"""Which networks are measured: shapes of one size, random weights, and loaded systems."""

from __future__ import annotations

import pytest
import torch

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.bench.weights import FULL, TINY
from sonar_cli.evaluation.paper.networks import MINI, networks_of, random_networks, shapes
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.formats.system import OWN
from sonar_cli.model.load import load_system
from sonar_cli.model.shapes import DECODER_MAX_LEN, ENCODER_MAX_LEN, LlamaConfig
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from tests.model.systems.test_base import BookCodec


def _stack(kind: str, config: LlamaConfig) -> int:
    """Return the weights of a network, without those of embeddings and projections."""
    with torch.device("meta"):
        network = (OWN[kind][1] if kind in OWN else Predictor)(config)
    return sum(each.numel() for name, each in network.named_parameters() if "layers." in name)


@pytest.mark.parametrize("sizes", [FULL, MINI])
def test_the_four_shapes_are_of_one_size(sizes) -> None:
    counted = {kind: _stack(kind, config) for kind, config in shapes(sizes).items()}
    assert list(counted) == ["sonar-llm", "lcm-mse", "lcm-diffusion", "llm"]
    ours = counted.pop("sonar-llm")
    assert counted["lcm-mse"] == counted["llm"] == ours
    # Whole layers of two kinds are shared out, at mini's size one and two of them.
    assert counted["lcm-diffusion"] == pytest.approx(ours, rel=0.03 if sizes is FULL else 0.3)


def test_mini_is_the_embedded_model() -> None:
    networks = networks_of(load_system(resolve()))
    assert networks.name == "sonar-llm"
    assert networks.encoder is not None and networks.encoder.config == MINI.encoder
    assert networks.decoder is not None and networks.decoder.config == MINI.decoder
    own = networks.network.config
    for name in ("embed_dim", "hidden", "ffn", "layers", "heads", "kv_heads", "head_dim"):
        assert getattr(own, name) == getattr(MINI.predictor, name)
    assert (MINI.encoder.max_len, MINI.decoder.max_len) == (ENCODER_MAX_LEN, DECODER_MAX_LEN)


@pytest.mark.parametrize("kind", list(shapes(TINY)))
def test_random_weights_of_every_kind(kind: str) -> None:
    config = shapes(TINY)[kind]
    networks = random_networks(config, TINY, "cpu", "bfloat16")
    assert networks.name == kind and networks.network.config == config
    assert networks.network.dtype == torch.bfloat16
    halves = networks.encoder, networks.decoder
    assert halves == (None, None) if kind == "llm" else None not in halves


def test_networks_of_loaded_systems(predictor: Predictor) -> None:
    llm = random_networks(shapes(TINY)["llm"], TINY, "cpu").network
    assert networks_of(TokenLLMSystem(None, llm)).network is llm  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="our own codec"):
        networks_of(SonarLLMSystem(BookCodec(), predictor))

"""Which networks are measured: shapes of one size, random weights, and loaded systems."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.bench.weights import FULL, TINY
from sonar_cli.evaluation.paper.networks import networks_of, random_networks, shapes, sizes_of
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.formats.system import OWN
from sonar_cli.model.load import load_system
from sonar_cli.model.shapes import LlamaConfig, TwoTowerConfig
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLMSystem
from tests.model.systems.test_base import BookCodec


def _stack(kind: str, config: LlamaConfig) -> int:
    """Return the weights of a network, without those of embeddings and projections."""
    with torch.device("meta"):
        network = (OWN[kind][1] if kind in OWN else Predictor)(config)
    return sum(each.numel() for name, each in network.named_parameters() if "layers." in name)


@pytest.mark.parametrize(("layers", "towers"), [(17, (5, 7)), (4, (1, 2)), (1, (1, 1))])
def test_the_four_shapes_are_of_one_size(layers: int, towers: tuple[int, int]) -> None:
    sizes = replace(FULL, predictor=replace(FULL.predictor, layers=layers))
    made = shapes(sizes)
    assert list(made) == ["sonar-llm", "lcm-mse", "lcm-diffusion", "llm"]
    counted = {kind: _stack(kind, config) for kind, config in made.items()}
    assert counted["lcm-mse"] == counted["llm"] == counted["sonar-llm"]
    two_tower = made["lcm-diffusion"]
    assert isinstance(two_tower, TwoTowerConfig)
    assert (two_tower.layers, two_tower.denoiser_layers) == towers
    if layers == 17:
        assert counted["lcm-diffusion"] == pytest.approx(counted["sonar-llm"], rel=0.03)


def test_a_loaded_system_and_its_sizes() -> None:
    networks, sizes = networks_of(load_system(resolve())), sizes_of(resolve())
    assert networks.name == "sonar-llm" and networks.network.config == sizes.predictor
    assert networks.encoder is not None and networks.encoder.config == sizes.encoder
    assert networks.decoder is not None and networks.decoder.config == sizes.decoder
    with pytest.raises(UsageError, match="a codec alone"):
        sizes_of(replace(resolve(), predictor=None))


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

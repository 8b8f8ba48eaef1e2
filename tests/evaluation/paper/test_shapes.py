"""Networks of four systems with the same number of parameters."""

from __future__ import annotations

import pytest
from torch import nn

from sonar_cli.errors import UsageError
from sonar_cli.evaluation.paper.shapes import count, shaped
from sonar_cli.training.recipe import Kind
from sonar_cli.training.systems import empty_network
from sonar_cli.training.tables import Model
from tests.evaluation.paper.four import KINDS, codec


def _build(system: Kind):
    def build(shape: Model) -> nn.Module:
        return empty_network(system, shape, codec())

    return build


@pytest.mark.parametrize("size", [1_500_000, 4_000_000])
def test_all_have_as_many_parameters(size: int) -> None:
    for system in KINDS:
        shape = shaped(system, size, 4, _build(system))
        found = count(_build(system)(shape))
        assert abs(found - size) < 0.01 * size, (system, shape)
        assert shape.hidden <= shape.ffn <= 5 * shape.hidden


def test_a_two_tower_model_shares_its_layers_out() -> None:
    shape = shaped("lcm-diffusion", 1_500_000, 5, _build("lcm-diffusion"))
    assert (shape.layers, shape.denoiser_layers) == (2, 3)


def test_too_few_parameters_for_a_vocabulary() -> None:
    with pytest.raises(UsageError, match="too few for llm of 4 layers"):
        shaped("llm", 2_000, 4, _build("llm"))

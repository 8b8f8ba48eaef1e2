"""Read and write the four systems: config.json, which gives the kind, and model.safetensors.

A SONAR-LLM is stored in its published layout, the other three under our own tensor names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sonar_cli.errors import CheckpointError
from sonar_cli.model.disk import is_there, quoted
from sonar_cli.model.files import read_tensors
from sonar_cli.model.formats.layouts import Layout, State
from sonar_cli.model.formats.predictor import save_predictor
from sonar_cli.model.formats.strict import check, check_layers, expected_shapes, write
from sonar_cli.model.names import CONFIG
from sonar_cli.model.shapes import (
    SONAR_LLM,
    TOKEN_LLM,
    LCMConfig,
    LlamaConfig,
    RopeScaling,
    TokenLLMConfig,
    TwoTowerConfig,
    check_heads,
    read_json,
    rope_scaling,
    system_kind,
)
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM
from sonar_cli.model.values import REQUIRED, table
from sonar_cli.model.values import field as value

# kind -> classes of its config and its network; the fourth, "sonar-llm", is in `predictor.py`
OWN: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "lcm-mse": (LCMConfig, BaseLCM),
    "lcm-diffusion": (TwoTowerConfig, TwoTowerLCM),
    TOKEN_LLM: (TokenLLMConfig, TokenLLM),
}


class _OwnNames(Layout):
    """The layout of our own tensor names."""

    def theirs(self, name: str) -> str:
        """Return the same name."""
        return name


_OWN_NAMES = _OwnNames("ours", layers="layers", whole={}, parts={})


def kind_of(folder: Path) -> str:
    """Return the kind in a folder's config.json, SONAR-LLM if there is no such file."""
    config = folder / CONFIG
    return system_kind(read_json(config)) if is_there(config) else SONAR_LLM


def read_system(folder: Path) -> tuple[type[nn.Module], LlamaConfig, State]:
    """Read a system under our own names; return its network's class, its config and its tensors.

    Raises CheckpointError for an unknown kind, for a config with missing fields, and for tensors
    that are missing, unknown or of another shape.
    """
    raw = read_json(folder / CONFIG)
    kind = system_kind(raw)
    if kind not in OWN:
        known = f"known are {', '.join([SONAR_LLM, *OWN])}"
        raise CheckpointError(f"{folder / CONFIG}: unknown system {quoted(kind)}; {known}")
    shape, network = OWN[kind]
    config = _shape(folder / CONFIG, shape, raw)
    state, _ = read_tensors(folder)
    layers = {"layers": config.layers, "denoiser.layers": getattr(config, "denoiser_layers", 0)}
    check_layers(folder, state, folder / CONFIG, layers)
    check(folder, state, [], expected_shapes(network, config), _OWN_NAMES, folder / CONFIG)
    return network, config, state


def save_system(model: nn.Module, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write the network of any of the four systems to a folder."""
    if isinstance(model, Predictor):
        save_predictor(model, folder, dtype)
        return
    kind = next(kind for kind, (_, network) in OWN.items() if type(model) is network)
    config: Any = model.config
    write(folder, {"system": kind, **asdict(config)}, model.state_dict(), dtype)


def _shape(file: Path, shape: type[Any], raw: Mapping[str, Any]) -> Any:
    """Return the config of a class that a file holds under our own names."""
    try:
        values = {each.name: _value(each, raw) for each in fields(shape) if each.name in raw}
        config = shape(**values)
        check_heads(config)
    except KeyError as error:
        raise CheckpointError(f"{file}: rope_scaling has no {error}; is it complete?") from None
    except TypeError as error:
        missing = str(error).split(": ")[-1]
        raise CheckpointError(f"{file} lacks {missing}; is it complete?") from None
    except ValueError as error:
        raise CheckpointError(f"{file}: {error}") from None
    return config


def _value(of: Field[Any], raw: Mapping[str, Any]) -> Any:
    if of.name == "rope_scaling":
        scaling = table(raw, "rope_scaling")
        known = {each.name for each in fields(RopeScaling)}
        if unknown := sorted(scaling.keys() - known):
            raise ValueError(f"rope_scaling {quoted(dict(scaling))}: there is no {unknown[0]!r}")
        return rope_scaling(scaling) if scaling else None
    # What may be left out is None in a file where it is not known.
    default = None if of.default is None else REQUIRED
    return value(of.name, raw, default=default)

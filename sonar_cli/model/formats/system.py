"""The four systems on disk: config.json with the system's kind, and model.safetensors.

A SONAR-LLM lies in its published layout. The others, of which no published layout is read, lie
under our own names of their tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sonar_cli.errors import CheckpointError
from sonar_cli.model.files import read_tensors
from sonar_cli.model.formats.layouts import Layout, State
from sonar_cli.model.formats.predictor import save_predictor
from sonar_cli.model.formats.strict import check, expected_shapes, write
from sonar_cli.model.names import CONFIG
from sonar_cli.model.shapes import (
    SONAR_LLM,
    LCMConfig,
    LlamaConfig,
    RopeScaling,
    TokenLLMConfig,
    TwoTowerConfig,
    read_json,
    system_kind,
)
from sonar_cli.model.systems.lcm_diffusion import TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.model.systems.token_llm import TokenLLM

# kind -> its shape and its network; "sonar-llm" is the fourth, in `formats/predictor.py`
OWN: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "lcm-mse": (LCMConfig, BaseLCM),
    "lcm-diffusion": (TwoTowerConfig, TwoTowerLCM),
    "llm": (TokenLLMConfig, TokenLLM),
}


class _OwnNames(Layout):
    """The layout whose names are ours."""

    def theirs(self, name: str) -> str:
        """Return the same name."""
        return name


_OWN_NAMES = _OwnNames("ours", layers="layers", whole={}, parts={})


def kind_of(folder: Path) -> str:
    """Return a system's kind by the config.json in its folder."""
    config = folder / CONFIG
    return system_kind(read_json(config)) if config.is_file() else SONAR_LLM


def read_system(folder: Path) -> tuple[type[nn.Module], LlamaConfig, State]:
    """Read one of our own systems: its network's class, its shape and its tensors.

    Raises CheckpointError for an unknown kind, a config that lacks something or has something of
    the wrong type, and tensors that are missing, unknown or of another shape.
    """
    raw = read_json(folder / CONFIG)
    kind = system_kind(raw)
    if kind not in OWN:
        known = ", ".join([SONAR_LLM, *OWN])
        raise CheckpointError(f"{folder / CONFIG}: unknown system {kind!r}; known are {known}")
    shape, network = OWN[kind]
    config = _shape(folder / CONFIG, shape, raw)
    state, _ = read_tensors(folder)
    check(folder, state, [], expected_shapes(network, config), _OWN_NAMES)
    return network, config, state


def save_system(model: nn.Module, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a system's network into a folder, whatever its kind."""
    if isinstance(model, Predictor):
        save_predictor(model, folder, dtype)
        return
    kind = next(kind for kind, (_, network) in OWN.items() if type(model) is network)
    config: Any = model.config
    write(folder, {"system": kind, **asdict(config)}, model.state_dict(), dtype)


def _shape(file: Path, shape: type[Any], raw: Mapping[str, Any]) -> Any:
    names = {field.name for field in fields(shape)}
    values = {name: value for name, value in raw.items() if name in names}
    if isinstance(scaling := values.get("rope_scaling"), Mapping):
        values["rope_scaling"] = RopeScaling(**scaling)
    try:
        return shape(**values)
    except TypeError as error:
        missing = str(error).split(": ")[-1]
        raise CheckpointError(f"{file} lacks {missing}; is it complete?") from None

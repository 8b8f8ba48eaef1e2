"""Describe a model by its files, without loading the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sonar_cli.errors import CheckpointError
from sonar_cli.model.files import read_tensors
from sonar_cli.model.names import CONFIG
from sonar_cli.model.shapes import read_json, system_kind
from sonar_cli.options import ModelPaths

# Files that training writes beside the folders of a model's parts.
_TRAINED = ("recipe.toml", "metrics.json")


def describe(paths: ModelPaths) -> dict[str, Any]:
    """Return a record of a model: its system, number of parameters, shape, files, metrics, recipe.

    Tensors are mapped and counted, not read. Raises CheckpointError for files that cannot be read.
    """
    record: dict[str, Any] = {}
    if paths.predictor is not None:
        config = paths.predictor_config or paths.predictor / CONFIG
        raw = read_json(config)
        record["system"] = system_kind(raw)
        record["parameters"] = _parameters(paths.predictor)
        shape = raw.get("llama_config", raw)
        record["shape"] = {name: value for name, value in shape.items() if name != "system"}
    for part in ("predictor", "encoder", "decoder", "tokenizer"):
        if (path := getattr(paths, part)) is not None:
            record[part] = str(path)
    return {**record, **_training((paths.predictor or paths.encoder).parent)}


def _parameters(path: Path) -> int:
    tensors, _ = read_tensors(path)
    # Published SONAR-LLMs hold a vocabulary that they never use, and may hold a decoder. An LCM's
    # scaler is fitted to the vectors and not trained.
    other = ("llama_model.model.embed_tokens", "llama_model.lm_head", "sonar_decoder.", "scaler.")
    return sum(each.numel() for name, each in tensors.items() if not name.startswith(other))


def _training(folder: Path) -> Mapping[str, Any]:
    recipe, metrics = (folder / name for name in _TRAINED)
    found: dict[str, Any] = {}
    if metrics.is_file():
        found["metrics"] = read_json(metrics)
    if recipe.is_file():
        try:
            found["recipe"] = recipe.read_text(encoding="utf-8")
        except ValueError as error:
            raise CheckpointError(f"{recipe} is not a text ({error})") from None
    return found

"""Read and write a SONAR-LLM predictor in its published layout: config.json and tensors."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.files import read_tensors
from sonar_cli.model.formats.layouts import PREDICTOR_LAYOUT, State
from sonar_cli.model.formats.strict import (
    check,
    check_layers,
    expected_shapes,
    other_architecture,
    write,
)
from sonar_cli.model.names import CONFIG
from sonar_cli.model.shapes import SONAR_LLM, PredictorConfig, predictor_config, read_json
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import PLAIN


def read_predictor(path: Path, config: Path | None = None) -> tuple[PredictorConfig, State]:
    """Read a SONAR-LLM from a directory with config.json, or from a bare file and a JSON `config`.

    Returns its shape and its tensors by our names. Raises UsageError for a bare file without a
    config, and CheckpointError for files that cannot be read or do not fit.
    """
    config = _config_of(path, config)
    shape = _read_predictor_config(config)
    tensors, _ = read_tensors(path)
    state, unknown = PREDICTOR_LAYOUT.rename(tensors)
    if not state:
        raise CheckpointError(other_architecture(path, "SONAR-LLM predictor", tensors))
    check_layers(path, state, config, {"layers": shape.layers})
    check(path, state, unknown, expected_shapes(Predictor, shape), PREDICTOR_LAYOUT, config)
    return shape, state


def save_predictor(predictor: Predictor, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a predictor in its published layout: config.json and model.safetensors."""
    state = {PREDICTOR_LAYOUT.theirs(k): v for k, v in predictor.state_dict().items()}
    write(folder, _predictor_json(predictor.config), state, dtype)


def _config_of(path: Path, config: Path | None) -> Path:
    if config is None and not path.is_dir():
        raise UsageError(f"{path} is a bare checkpoint; give its JSON with --config FILE")
    return config or path / CONFIG


def _read_predictor_config(config: Path) -> PredictorConfig:
    try:
        return predictor_config(read_json(config))
    except KeyError as error:
        raise CheckpointError(f"{config} has no {error}; is it a SONAR-LLM config?") from None
    except ValueError as error:
        raise CheckpointError(f"{config}: {error}") from None


def _predictor_json(config: PredictorConfig) -> dict[str, Any]:
    scaling = config.rope_scaling
    rope = None
    if scaling is not None:
        rope = {"rope_type": "llama3", **asdict(scaling)}
        rope["original_max_position_embeddings"] = rope.pop("original_max_len")
    ours = {
        "drawing": None if config.drawing == PLAIN else asdict(config.drawing),
        "summary_cue": config.summary_cue,
        "trained_len": config.trained_len,
    }
    return {
        "system": SONAR_LLM,
        "llama_config": {
            "hidden_size": config.hidden,
            "intermediate_size": config.ffn,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.kv_heads,
            "head_dim": config.head_dim,
            "hidden_act": "silu",
            "rms_norm_eps": config.rms_eps,
            "rope_theta": config.rope_theta,
            "rope_scaling": rope,
        },
        "embed_dim": config.embed_dim,
        "add_begin": config.add_begin,
        **{key: value for key, value in ours.items() if value is not None},
    }

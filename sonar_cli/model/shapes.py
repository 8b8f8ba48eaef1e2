"""The shapes of models, and the JSON files that hold them. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sonar_cli.errors import CheckpointError
from sonar_cli.model.names import CONFIG
from sonar_cli.options import PLAIN, Drawing

# The kind of the published systems, and the one that has no vectors.
SONAR_LLM, TOKEN_LLM = "sonar-llm", "llm"
# The field of a config.json for the number format in which a folder runs where none is asked for.
RUN_DTYPE = "run_dtype"
# The most tokens of a sentence in SONAR's encoder and in its decoder.
ENCODER_MAX_LEN = 514
DECODER_MAX_LEN = 512


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of one half of a SONAR codec.

    `width` is the size D of the sentence vector and of hidden states; an attention head has the
    size `width / heads`. `ffn` is the inner width of the feed-forward. `max_len` counts tokens: 514
    for SONAR's encoder, 512 for its decoder. `suppressed` are tokens that the decoder never writes,
    as `suppress_tokens` in transformers' configs.
    """

    vocab_size: int
    width: int
    layers: int
    heads: int
    ffn: int
    max_len: int
    suppressed: tuple[int, ...] = ()


# SONAR's published codec.
SONAR_ENCODER = TransformerConfig(256_206, 1024, 24, 16, 8192, ENCODER_MAX_LEN)
SONAR_DECODER = TransformerConfig(256_206, 1024, 24, 16, 8192, DECODER_MAX_LEN)


@dataclass(frozen=True)
class RopeScaling:
    """Scaling of rotary frequencies of type "llama3"; `original_max_len` is in positions."""

    factor: float = 32.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_len: int = 8192


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Shape of a stack of Llama layers, and the summaries that it was trained to write.

    `hidden` is the width, `ffn` SwiGLU's inner width. `heads * head_dim` can differ from `hidden`.
    `rope_scaling` None means plain rotary positions. `dropout` is the share of each block's outputs
    that training sets to 0. `summary_cue` is the sentence that asks for a summary of the sentences
    before, None if it was not learned. `trained_len` is the most sentences before the cue in
    training, None if unknown.
    """

    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    rms_eps: float = 1e-6
    rope_theta: float = 500_000.0
    rope_scaling: RopeScaling | None = field(default_factory=RopeScaling)
    dropout: float = 0.0
    summary_cue: str | None = None
    trained_len: int | None = None


@dataclass(frozen=True, kw_only=True)
class LCMConfig(LlamaConfig):
    """Shape of a Base-LCM; `embed_dim` is the size D of the sentence vector."""

    embed_dim: int
    rope_theta: float = 10_000.0
    rope_scaling: RopeScaling | None = None
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class TwoTowerConfig(LCMConfig):
    """Shape of a two-tower LCM: a contextualizer of `layers`, a denoiser of `denoiser_layers`.

    Both are `hidden` wide. `diffusion_steps` is the number T of noise levels in training.
    """

    denoiser_layers: int
    diffusion_steps: int = 100


@dataclass(frozen=True, kw_only=True)
class TokenLLMConfig(LlamaConfig):
    """Shape of a token-level Llama; `vocab_size` is that of the codec's tokenizer."""

    vocab_size: int


@dataclass(frozen=True, kw_only=True)
class PredictorConfig(LlamaConfig):
    """Shape of a SONAR-LLM predictor; `embed_dim` is the size D of the sentence vector.

    `add_begin` is True if its training texts begin with "Begin of text.". `drawing` is how it
    writes where the options say nothing else.
    """

    embed_dim: int
    add_begin: bool = False
    drawing: Drawing = PLAIN


def system_kind(raw: Mapping[str, Any]) -> str:
    """Return the system's kind in a config.json; without one it is a published SONAR-LLM."""
    return str(raw.get("system", SONAR_LLM))


def run_dtype(path: Path) -> str:
    """Return the number format that a model's folder asks to run in, float32 if it says nothing."""
    config = path / CONFIG
    return str(read_json(config).get(RUN_DTYPE, "float32")) if config.is_file() else "float32"


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises CheckpointError if the file is missing or holds anything else."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"no config at {path}; check the path") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not a JSON file: {error}") from error
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path} does not hold a JSON object")
    return raw


def predictor_config(raw: Mapping[str, Any]) -> PredictorConfig:
    """Return the shape of a published predictor from the contents of its config.json.

    >>> small = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
    ...          "num_attention_heads": 4}
    >>> predictor_config({"llama_config": small, "embed_dim": 32}).head_dim
    16

    Raises KeyError with the first field that is missing, and ValueError for a rotary scaling other
    than "llama3" or an activation other than SiLU.
    """
    llama = raw["llama_config"]
    # "swish" is another name of the same function.
    if (activation := llama.get("hidden_act", "silu")) not in ("silu", "swish"):
        raise ValueError(f"hidden_act {activation!r} is not supported, only 'silu'")
    # transformers 5 has all rotary settings in one object, earlier ones in two fields.
    rope = {
        "rope_theta": llama.get("rope_theta", 10_000.0),
        **(llama.get("rope_parameters") or llama.get("rope_scaling") or {}),
    }
    heads = int(llama["num_attention_heads"])
    hidden = int(llama["hidden_size"])
    return PredictorConfig(
        embed_dim=int(raw.get("embed_dim", 1024)),
        hidden=hidden,
        ffn=int(llama["intermediate_size"]),
        layers=int(llama["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(llama.get("num_key_value_heads") or heads),
        head_dim=int(llama.get("head_dim") or hidden // heads),
        rms_eps=float(llama.get("rms_norm_eps", 1e-6)),
        rope_theta=float(rope["rope_theta"]),
        rope_scaling=_rope_scaling(rope),
        add_begin=bool(raw.get("add_begin", False)),
        drawing=Drawing(**raw.get("drawing", {})),
        summary_cue=raw.get("summary_cue"),
        trained_len=raw.get("trained_len"),
    )


def _rope_scaling(raw: Mapping[str, Any]) -> RopeScaling | None:
    kind = raw.get("rope_type", raw.get("type", "default"))
    if kind == "default":
        return None
    if kind != "llama3":
        raise ValueError(f"rotary scaling of type {kind!r} is not supported, only 'llama3'")
    return RopeScaling(
        factor=float(raw["factor"]),
        low_freq_factor=float(raw["low_freq_factor"]),
        high_freq_factor=float(raw["high_freq_factor"]),
        original_max_len=int(raw["original_max_position_embeddings"]),
    )

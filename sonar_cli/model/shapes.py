"""The shapes of models, and the JSON files that hold them. Needs no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.disk import MOST_JSON, is_there, quoted, read_whole, shown
from sonar_cli.model.names import CONFIG
from sonar_cli.model.values import field as value
from sonar_cli.model.values import table, whole
from sonar_cli.options import PLAIN, RANGES, Drawing

# The kind of the published systems, and the one that has no vectors.
SONAR_LLM, TOKEN_LLM = "sonar-llm", "llm"
# The field of a config.json for the number format in which a folder runs where none is asked for.
RUN_DTYPE = "run_dtype"
# The most tokens of a sentence in SONAR's encoder and in its decoder.
ENCODER_MAX_LEN = 514
DECODER_MAX_LEN = 512
# Seeds fit in 64 bits, of which one is the sign.
_MOST_SEED = 2**63 - 1


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
    """Return the number format that a model's folder asks to run in, float32 if it says nothing.

    Raises CheckpointError for another one than float32, bfloat16 and int8.
    """
    config = path / CONFIG
    if not is_there(config):
        return "float32"
    found = read_json(config).get(RUN_DTYPE, "float32")
    if found not in ("float32", "bfloat16", "int8"):
        raise CheckpointError(
            f"{config}: {RUN_DTYPE} is {quoted(found)}, not 'float32', 'bfloat16' or 'int8'"
        )
    return str(found)


def read_json(path: Path, most: int = MOST_JSON) -> dict[str, Any]:
    """Read a JSON object from a regular file of at most `most` bytes.

    Raises CheckpointError if the file is missing or holds anything else.
    """
    if not os.path.exists(path):
        raise CheckpointError(f"no config at {path}; check the path")
    raw = read_whole(path, most)
    try:
        found = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        why = f"see line {error.lineno}, character {error.colno}"
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8"
    except ValueError:
        why = "it has a number of thousands of digits"
    except RecursionError:
        why = "it is nested too deep"
    else:
        if isinstance(found, dict):
            return found
        raise CheckpointError(f"{path} does not hold a JSON object")
    raise CheckpointError(f"{path} is not a JSON file: {why}")


def predictor_config(raw: Mapping[str, Any]) -> PredictorConfig:
    """Return the shape of a published predictor from the contents of its config.json.

    >>> small = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2,
    ...          "num_attention_heads": 4}
    >>> predictor_config({"llama_config": small, "embed_dim": 32}).head_dim
    16

    Raises KeyError with the first field that is missing, and ValueError for a value that no model
    has, a rotary scaling other than "llama3" or an activation other than SiLU.
    """
    if "llama_config" not in raw:
        raise KeyError("llama_config")
    llama = table(raw, "llama_config")
    # "swish" is another name of the same function.
    if (activation := llama.get("hidden_act", "silu")) not in ("silu", "swish"):
        raise ValueError(f"hidden_act {quoted(activation)} is not supported, only 'silu'")
    # transformers 5 has all rotary settings in one object, earlier ones in two fields.
    scaling = table(llama, "rope_parameters") or table(llama, "rope_scaling")
    rope = {"rope_theta": llama.get("rope_theta"), **scaling}
    heads = value("heads", llama, "num_attention_heads")
    hidden = value("hidden", llama, "hidden_size")
    config = PredictorConfig(
        embed_dim=value("embed_dim", raw, default=1024),
        hidden=hidden,
        ffn=value("ffn", llama, "intermediate_size"),
        layers=value("layers", llama, "num_hidden_layers"),
        heads=heads,
        kv_heads=value("kv_heads", llama, "num_key_value_heads", heads),
        head_dim=value("head_dim", llama, default=hidden // heads),
        rms_eps=value("rms_eps", llama, "rms_norm_eps", 1e-6),
        rope_theta=value("rope_theta", rope, default=10_000.0),
        rope_scaling=_published_scaling(rope),
        add_begin=value("add_begin", raw, default=False),
        drawing=_drawing(table(raw, "drawing")),
        summary_cue=value("summary_cue", raw, default=None),
        trained_len=value("trained_len", raw, default=None),
    )
    check_heads(config)
    return config


def check_heads(config: LlamaConfig) -> None:
    """Raise ValueError if a Llama's heads cannot share keys, or cannot be rotated.

    Rotary positions turn the numbers of a head in pairs, so that their count is even.
    """
    if config.heads % config.kv_heads:
        raise ValueError(f"{config.kv_heads} key-value heads do not divide {config.heads} heads")
    if config.head_dim < 2 or config.head_dim % 2:
        raise ValueError(f"head_dim is {config.head_dim}, not an even number")


def rope_scaling(raw: Mapping[str, Any], longest: str = "original_max_len") -> RopeScaling:
    """Return the scaling of type "llama3" of a file that calls its length `longest`.

    Raises KeyError and ValueError as `predictor_config`.
    """
    scaling = RopeScaling(
        factor=value("factor", raw),
        low_freq_factor=value("low_freq_factor", raw),
        high_freq_factor=value("high_freq_factor", raw),
        original_max_len=value("original_max_len", raw, longest),
    )
    if scaling.low_freq_factor >= scaling.high_freq_factor:
        raise ValueError("low_freq_factor is not below high_freq_factor")
    return scaling


def _published_scaling(raw: Mapping[str, Any]) -> RopeScaling | None:
    kind = raw.get("rope_type", raw.get("type", "default"))
    if kind == "default":
        return None
    if kind != "llama3":
        raise ValueError(f"rotary scaling of type {quoted(kind)} is not supported, only 'llama3'")
    return rope_scaling(raw, "original_max_position_embeddings")


def _drawing(raw: Mapping[str, Any]) -> Drawing:
    known = {each.name for each in fields(Drawing)}
    if unknown := sorted(raw.keys() - known):
        raise ValueError(f"drawing has no {shown(unknown[0])}; it has {', '.join(sorted(known))}")
    given = {name: each for name, each in raw.items() if each is not None}
    for name, each in given.items():
        if name in RANGES and type(each) not in (int, float):
            raise ValueError(f"drawing: {name} is {quoted(each)}, not a number")
    if "candidates" in given:
        value("candidates", given)
    if "seed" in given:
        whole("drawing: seed", given["seed"], _MOST_SEED, -_MOST_SEED)
    try:
        return Drawing(**given)
    except UsageError as error:
        raise ValueError(f"drawing: {error}") from None

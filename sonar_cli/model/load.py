"""Paths, a device and a dtype -> models ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import Codec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.fast.int8 import Notify, quantized
from sonar_cli.model.fast.linear import (
    SMALLEST,
    Int8Linear,
    Make,
    PackedLinear,
    can_pack,
    join,
    joined_bias,
    quantize,
    replace,
)
from sonar_cli.model.formats import checkpoints
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ModelPaths

_DTYPES = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    # Weights are quantized after they were loaded in float32.
    "int8": torch.float32,
}

Shape = TypeVar("Shape", TransformerConfig, PredictorConfig)
Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Model:
    """What generation needs: the codec and the predictor."""

    codec: Codec
    predictor: Predictor


def load_model(paths: ModelPaths, device: str = "auto", dtype: str = "auto") -> Model:
    """Load codec and predictor; CheckpointError when their vector widths differ."""
    codec = load_codec(paths.encoder, paths.decoder, paths.tokenizer, device, dtype)
    predictor = load_predictor(paths.predictor, paths.predictor_config, device, dtype)
    check_width(codec, predictor, paths.predictor)
    return Model(codec, predictor)


def load_codec(
    encoder: Path,
    decoder: Path,
    tokenizer: Path,
    device: str = "auto",
    dtype: str = "auto",
    notify: Notify | None = None,
) -> Codec:
    """Load an encoder, a decoder and their tokenizer; CheckpointError when they do not match.

    `notify` is told in a line when weights have to be quantized first, which takes a while.
    """
    tokens = Tokenizer.load(tokenizer)
    encoder_model = load_encoder(encoder, device, dtype, notify)
    decoder_model = load_decoder(decoder, device, dtype, notify)
    for path, half in ((encoder, encoder_model.config), (decoder, decoder_model.config)):
        if half.vocab_size != tokens.vocab_size:
            raise CheckpointError(
                f"{path} has {half.vocab_size} tokens but the tokenizer {tokens.vocab_size}; "
                "give the tokenizer it was trained with (--tokenizer)"
            )
    if encoder_model.config.width != decoder_model.config.width:
        raise CheckpointError(
            f"the encoder writes vectors of {encoder_model.config.width} numbers, the decoder "
            f"reads {decoder_model.config.width}; give a matching pair"
        )
    return Codec(encoder_model, decoder_model, tokens)


def load_encoder(
    path: Path, device: str = "auto", dtype: str = "auto", notify: Notify | None = None
) -> TextEncoder:
    """Load a codec's encoder alone."""
    return _build(TextEncoder, path, checkpoints.read_encoder(path), device, dtype, notify)


def load_decoder(
    path: Path, device: str = "auto", dtype: str = "auto", notify: Notify | None = None
) -> TextDecoder:
    """Load a codec's decoder alone."""
    return _build(TextDecoder, path, checkpoints.read_decoder(path), device, dtype, notify)


def load_predictor(
    path: Path,
    config: Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
    notify: Notify | None = None,
) -> Predictor:
    """Load a SONAR-LLM predictor from a directory, or a bare file with its config."""
    read = checkpoints.read_predictor(path, config)
    return _build(Predictor, path, read, device, dtype, notify)


def check_width(codec: Codec, predictor: Predictor, path: Path) -> None:
    """Raise CheckpointError when codec and predictor do not speak of the same vectors."""
    if predictor.config.embed_dim != codec.width:
        raise CheckpointError(
            f"{path} predicts vectors of {predictor.config.embed_dim} numbers, the codec has "
            f"{codec.width}; choose the codec with --encoder, --decoder and --tokenizer"
        )


def pick_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda[:N] into a device; UsageError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise UsageError(f"unknown device {name!r}; use auto, cpu or cuda[:N]")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"there is no device {name} here ({torch.cuda.device_count()} CUDA devices); "
            "use --device cpu"
        )
    return torch.device("cpu" if kind == "cpu" else name)


def pick_dtype(name: str) -> torch.dtype:
    """Turn a --dtype into the dtype that weights are loaded in; UsageError when unknown."""
    if name not in _DTYPES:
        raise UsageError(f"unknown dtype {name!r}; use {', '.join(_DTYPES)}")
    return _DTYPES[name]


def _build(
    model: Callable[[Shape], Module],
    source: Path,
    read: tuple[Shape, dict[str, Tensor]],
    device: str,
    dtype: str,
    notify: Notify | None,
) -> Module:
    """Build on the meta device and assign the tensors: no random weights, no second copy."""
    config, state = read
    where, kind = pick_device(device), pick_dtype(dtype)
    if dtype == "int8" and where.type != "cpu":
        raise UsageError("--dtype int8 runs on the CPU only; add --device cpu")
    with torch.device("meta"):
        built = model(config)
    tensors = {name: tensor.to(where, kind) for name, tensor in state.items()}
    built.load_state_dict(tensors, assign=True)
    built = built.requires_grad_(False).eval().to(where)
    if dtype == "int8":
        quantized(built, source, notify)
        return built
    return prepare(built, dtype)


def prepare(model: Module, dtype: str = "auto", smallest: int | None = None) -> Module:
    """Make a loaded model quick to run, in place: linear maps of one input become one.

    On the CPU their weights are packed for few rows where oneDNN can, or quantized to int8 where
    `dtype` says so. Maps below `smallest` weights stay as they are (default: those too small for
    packing to pay; in int8 none).
    """
    make = _engine(model, dtype)
    if make is not None:
        if smallest is None:
            smallest = 0 if dtype == "int8" else SMALLEST
        replace(model, make, smallest)
    return model


def _engine(model: nn.Module, dtype: str) -> Make | None:
    """Choose what runs the linear maps; None leaves them as they are."""
    weight = next(model.parameters())
    if not weight.is_cpu:
        return lambda _, parts: join(parts)
    if dtype == "int8":
        return lambda _, parts: Int8Linear(quantize(parts), joined_bias(parts))
    return (lambda _, parts: PackedLinear(parts)) if can_pack(weight.dtype) else None

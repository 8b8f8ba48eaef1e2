"""Load models from their files, onto a device and in a dtype, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as replace_field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.codec import sonar_space
from sonar_cli.model.codec.base import Codec
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.model.fast.groups import SMALLEST, Make, join, joined_bias, replace
from sonar_cli.model.fast.int8 import Int8Linear, quantize
from sonar_cli.model.fast.int8_file import Notify, quantized
from sonar_cli.model.fast.int8_stored import placeholders, use_stored
from sonar_cli.model.fast.packed import PackedLinear, PacksLater, can_pack
from sonar_cli.model.formats.codec import (
    decoder_to_fairseq2,
    encoder_to_fairseq2,
    read_decoder,
    read_encoder,
)
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.model.formats.system import kind_of, read_system
from sonar_cli.model.quantized import dequantized, is_quantized
from sonar_cli.model.shapes import SONAR_LLM, LlamaConfig, TransformerConfig, run_dtype
from sonar_cli.model.systems.lcm_diffusion import LCMDiffusionSystem, TwoTowerLCM
from sonar_cli.model.systems.lcm_mse import BaseLCM, LCMMSESystem
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.model.systems.token_llm import TokenLLM, TokenLLMSystem
from sonar_cli.options import CodecKind, ModelPaths, Runtime

_DTYPES = {
    "auto": torch.float32,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    # Weights are quantized after loading.
    "int8": torch.float32,
}

# The systems that continue texts: three predict vectors, the last one tokens.
AnySystem = SonarLLMSystem | LCMMSESystem | LCMDiffusionSystem | TokenLLMSystem

Shape = TypeVar("Shape", bound=TransformerConfig | LlamaConfig)
Module = TypeVar("Module", bound=nn.Module)


def load_codec(
    paths: ModelPaths,
    runtime: Runtime | None = None,
    kind: CodecKind = "native",
    notify: Notify | None = None,
    trains: bool = False,
) -> Codec:
    """Load an encoder, a decoder and their tokenizer.

    With the `kind` "sonar-space" the original code runs the same files. `notify` gets one line if
    weights have to be quantized first, which takes a while. A decoder that is loaded for what
    `trains` goes without the faster products of `prepare`, through which no weight learns. Raises
    CheckpointError if the parts cannot be read or do not match, UsageError for a device or dtype
    that is not available, and SonarError if sonar-space is needed and not installed.
    """
    runtime = runtime or Runtime()
    if kind == "sonar-space":
        return _load_sonar_space(paths, runtime)
    tokens = Tokenizer.load(paths.tokenizer)
    encoder = load_encoder(paths.encoder, runtime, notify)
    decoder = load_decoder(paths.decoder, runtime, notify, trains)
    for path, half in ((paths.encoder, encoder.config), (paths.decoder, decoder.config)):
        if half.vocab_size != tokens.vocab_size:
            raise CheckpointError(
                f"{path} has {half.vocab_size} tokens but the tokenizer {tokens.vocab_size}; "
                "give the tokenizer it was trained with (--tokenizer)"
            )
    if encoder.config.width != decoder.config.width:
        raise CheckpointError(
            f"the encoder writes vectors of {encoder.config.width} numbers, the decoder "
            f"reads {decoder.config.width}; give a matching pair"
        )
    return NativeCodec(encoder, decoder, tokens, runtime.workers)


def load_system(
    paths: ModelPaths,
    runtime: Runtime | None = None,
    codec: Codec | None = None,
    notify: Notify | None = None,
) -> AnySystem:
    """Load a system of any kind, which its config.json names; load its codec if none is given.

    Raises the errors of `load_codec`, CheckpointError also if system and codec do not match, and
    UsageError if the paths have no predictor.
    """
    codec = codec or load_codec(paths, runtime, notify=notify)
    if paths.predictor is None:
        raise UsageError("this model is a codec alone; name one with a predictor")
    if paths.predictor_config is None and kind_of(paths.predictor) != SONAR_LLM:
        return _own_system(paths.predictor, runtime, codec, notify)
    return load_sonar_llm(paths, runtime, codec, notify)


def load_sonar_llm(
    paths: ModelPaths,
    runtime: Runtime | None = None,
    codec: Codec | None = None,
    notify: Notify | None = None,
) -> SonarLLMSystem:
    """Load a SONAR-LLM as `load_system` does. Raises CheckpointError for another kind of system."""
    codec = codec or load_codec(paths, runtime, notify=notify)
    if paths.predictor is None:
        raise UsageError("this model is a codec alone; name one with a predictor")
    predictor = load_predictor(paths.predictor, paths.predictor_config, runtime, notify)
    _check_width(paths.predictor, predictor.config.embed_dim, codec)
    return SonarLLMSystem(codec, predictor)


def load_encoder(
    path: Path, runtime: Runtime | None = None, notify: Notify | None = None
) -> TextEncoder:
    """Load only the encoder of a codec."""
    return _load(TextEncoder, path, read_encoder(path), runtime, notify)


def load_decoder(
    path: Path,
    runtime: Runtime | None = None,
    notify: Notify | None = None,
    trains: bool = False,
) -> TextDecoder:
    """Load only the decoder of a codec; see `load_codec`."""
    return _load(TextDecoder, path, read_decoder(path), runtime, notify, trains)


def load_predictor(
    path: Path,
    config: Path | None = None,
    runtime: Runtime | None = None,
    notify: Notify | None = None,
) -> Predictor:
    """Load a SONAR-LLM predictor from a directory, or from a bare file and its JSON config."""
    return _load(Predictor, path, read_predictor(path, config), runtime, notify)


def pick_device(name: str) -> torch.device:
    """Return the device of auto, cpu, cuda[:N] or mps. Raises UsageError if it is not available.

    auto is CUDA where there is any, or else the CPU; mps, a Mac's GPU, is taken by its name alone.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise UsageError("this torch or this machine has no mps device; use --device cpu")
        return torch.device("mps")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise UsageError(f"unknown device {name!r}; use auto, cpu, cuda[:N] or mps")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"there is no device {name} here ({torch.cuda.device_count()} CUDA devices); "
            "use --device cpu"
        )
    return torch.device("cpu" if kind == "cpu" else name)


def pick_dtype(name: str) -> torch.dtype:
    """Return the dtype that weights are loaded in. Raises UsageError for an unknown name."""
    if name not in _DTYPES:
        raise UsageError(f"unknown dtype {name!r}; use {', '.join(_DTYPES)}")
    return _DTYPES[name]


def build(
    model: Callable[[Shape], Module],
    config: Shape,
    state: dict[str, Tensor],
    device: torch.device,
    dtype: torch.dtype,
) -> Module:
    """Build a model for inference from its tensors, copied only if device or dtype change.

    It is built on the meta device and takes over the tensors, so no random weights are drawn.
    """
    with torch.device("meta"):
        built = model(config)
    tensors = {name: tensor.to(device, dtype) for name, tensor in dequantized(state).items()}
    built.load_state_dict(tensors, assign=True)
    return built.requires_grad_(False).eval().to(device)


def prepare(model: Module, dtype: str = "auto", smallest: int | None = None) -> Module:
    """Make a loaded model faster, in place: one module computes linear maps with the same input.

    On the CPU this module packs weights for few rows, if oneDNN supports it, or holds int8 weights
    if `dtype` is "int8". Maps with fewer than `smallest` weights stay as they are; the default is
    `groups.SMALLEST`, and 0 for int8.
    """
    make = _engine(model, dtype)
    if make is not None:
        if smallest is None:
            smallest = 0 if dtype == "int8" else SMALLEST
        replace(model, make, smallest)
    return model


def pack_weights(owner: object) -> None:
    """Pack at once the weights of a codec's or a system's models that are packed after some use."""
    models = [each for each in vars(owner).values() if isinstance(each, nn.Module)]
    for part in (part for model in models for part in model.modules()):
        if isinstance(part, PacksLater):
            part.pack()


def _load(
    model: Callable[[Shape], Module],
    source: Path,
    read: tuple[Shape, dict[str, Tensor]],
    runtime: Runtime | None,
    notify: Notify | None,
    trains: bool = False,
) -> Module:
    runtime = runtime or Runtime()
    device = pick_device(runtime.device)
    if runtime.dtype == "auto":
        asked = run_dtype(source)
        # Int8 is for the CPU; elsewhere, and for training, such weights are run as float32.
        runs = asked != "int8" or (device.type == "cpu" and not trains)
        runtime = replace_field(runtime, dtype=asked if runs else "float32")
    dtype, (config, state) = pick_dtype(runtime.dtype), read
    if runtime.dtype == "int8" and device.type != "cpu":
        raise UsageError("--dtype int8 runs on the CPU only; add --device cpu")
    as_stored = runtime.dtype == "int8" and is_quantized(state)
    built = build(model, config, placeholders(state) if as_stored else state, device, dtype)
    built.source = str(source)  # type: ignore[assignment]  # for messages
    if as_stored:
        use_stored(built, state)
    elif runtime.dtype == "int8":
        quantized(built, source, notify)
    elif not trains:
        prepare(built, runtime.dtype)
    return built


def _own_system(
    folder: Path, runtime: Runtime | None, codec: Codec, notify: Notify | None
) -> AnySystem:
    network, config, state = read_system(folder)
    model = _load(network, folder, (config, state), runtime, notify)
    if isinstance(model, TokenLLM):
        if model.config.vocab_size != codec.tokenizer.vocab_size:
            raise CheckpointError(
                f"{folder} has {model.config.vocab_size} tokens but the tokenizer "
                f"{codec.tokenizer.vocab_size}; give the tokenizer it was trained with"
            )
        return TokenLLMSystem(codec.tokenizer, model)
    assert isinstance(model, (BaseLCM, TwoTowerLCM))
    _check_width(folder, model.config.embed_dim, codec)
    if isinstance(model, BaseLCM):
        return LCMMSESystem(codec, model)
    return LCMDiffusionSystem(codec, model)


def _check_width(path: Path, width: int, codec: Codec) -> None:
    if width != codec.width:
        raise CheckpointError(
            f"{path} predicts vectors of {width} numbers, the codec has {codec.width}; choose "
            "the codec with --encoder, --decoder and --tokenizer"
        )


def _load_sonar_space(paths: ModelPaths, runtime: Runtime) -> Codec:
    sonar_space.require()
    if runtime.dtype == "int8":
        raise UsageError("--dtype int8 goes with our own codec only; leave out --codec sonar-space")
    device, dtype = pick_device(runtime.device), pick_dtype(runtime.dtype)
    encoder, encoder_state = read_encoder(paths.encoder)
    decoder, decoder_state = read_decoder(paths.decoder)
    return sonar_space.build(
        (encoder, encoder_to_fairseq2(encoder_state)),
        (decoder, decoder_to_fairseq2(decoder, decoder_state)),
        paths.tokenizer,
        device,
        dtype,
    )


def _engine(model: nn.Module, dtype: str) -> Make | None:
    """Return the function that makes modules for linear maps, or None to leave the maps alone."""
    weight = next(model.parameters())
    if not weight.is_cpu:
        return lambda _, parts: join(parts)
    if dtype == "int8":
        return lambda _, parts: Int8Linear(quantize(parts), joined_bias(parts))
    return (lambda _, parts: PackedLinear(parts)) if can_pack(weight.dtype) else None

"""Read SONAR's encoder and decoder in every published layout; write them in Hugging Face's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sonar_cli.errors import CheckpointError
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.tokenizer import EOS
from sonar_cli.model.disk import is_there, quoted
from sonar_cli.model.files import read_tensors
from sonar_cli.model.formats.layouts import DECODER_LAYOUTS, ENCODER_LAYOUTS, Layout, State
from sonar_cli.model.formats.strict import (
    check,
    check_layers,
    expected_shapes,
    other_architecture,
    write,
)
from sonar_cli.model.names import CONFIG
from sonar_cli.model.quantized import SCALE, dequantized
from sonar_cli.model.shapes import (
    DECODER_MAX_LEN,
    ENCODER_MAX_LEN,
    TransformerConfig,
    read_json,
)
from sonar_cli.model.values import MOST_LAYERS, MOST_WIDTH, whole

# Size of an attention head if no config.json gives the number of heads.
HEAD_SIZE = 64
# A sentence has a language, a piece and an end at least; a config may name more than are read.
_FEWEST_TOKENS, _MOST_POSITIONS = 3, 1 << 31

# The first four embedding rows are bos, pad, eos, unk in fairseq, and pad, unk, bos, eos in our
# tokenizer.
_FROM_FAIRSEQ_ROWS = [1, 3, 0, 2]
_TO_FAIRSEQ_ROWS = [2, 0, 3, 1]


def read_encoder(path: Path) -> tuple[TransformerConfig, State]:
    """Read a SONAR text encoder in any layout; return its shape and its tensors by our names.

    Raises CheckpointError if it cannot be read or is not exactly such an encoder.
    """
    return _read_codec_half(path, "encoder", ENCODER_LAYOUTS, TextEncoder, ENCODER_MAX_LEN)


def read_decoder(path: Path) -> tuple[TransformerConfig, State]:
    """Read a SONAR text decoder in any layout; return its shape and its tensors by our names.

    Raises CheckpointError if it cannot be read or is not exactly such a decoder.
    """
    return _read_codec_half(path, "decoder", DECODER_LAYOUTS, TextDecoder, DECODER_MAX_LEN)


def save_encoder(encoder: TextEncoder, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write an encoder in the Hugging Face layout: config.json and model.safetensors."""
    state = encoder.state_dict()
    _save_codec_half(encoder.config, state, folder, ENCODER_LAYOUTS[1], dtype)


def save_decoder(decoder: TextDecoder, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a decoder in the Hugging Face layout, completed by the tensors of `folded`."""
    state = decoder.state_dict()
    state |= folded(decoder.config)
    _save_codec_half(decoder.config, state, folder, DECODER_LAYOUTS[2], dtype)


def encoder_to_fairseq2(state: State) -> State:
    """Return an encoder's tensors by fairseq2's names, in float32."""
    return _renamed(state, ENCODER_LAYOUTS[0])


def decoder_to_fairseq2(config: TransformerConfig, state: State) -> State:
    """Return a decoder's tensors by fairseq2's names, in float32, with those of `folded`."""
    return _renamed(state | folded(config), DECODER_LAYOUTS[0])


def folded(config: TransformerConfig) -> State:
    """Return tensors for the queries, keys and norms of cross-attention, by our names.

    The published layouts have them, but our decoder does not, because they never matter (see
    `codec.decoder`). Weights of norms are ones, all others zeros.
    """
    return {
        name: torch.ones(shape) if name.endswith("norm.weight") else torch.zeros(shape)
        for name, shape in _folded_shapes(config).items()
    }


def _renamed(state: State, layout: Layout) -> State:
    return {layout.theirs(name): tensor.float() for name, tensor in dequantized(state).items()}


def _read_codec_half(
    path: Path,
    kind: str,
    layouts: tuple[Layout, ...],
    model: type[nn.Module],
    max_len: int,
) -> tuple[TransformerConfig, State]:
    tensors, _ = read_tensors(path)
    layout = next((each for each in layouts if each.fits(tensors)), None)
    state, unknown = layout.rename(tensors) if layout else ({}, [])
    is_decoder = any(".vector_attn." in name for name in state)
    if layout is None or is_decoder != (kind == "decoder"):
        raise CheckpointError(other_architecture(path, f"SONAR text {kind}", tensors))
    shape = _shape(path, kind, state, max_len)
    expected = expected_shapes(model, shape)
    if kind == "decoder":
        expected |= _folded_shapes(shape)
    check(path, state, unknown, expected, layout)
    _check_tied(path, tensors, layout)
    if layout.permuted:
        # The mapping is private: writing copies a page or two, not the whole embedding.
        for rows in (state["embed.weight"], state.get("embed.weight" + SCALE)):
            if rows is not None:
                rows[:4] = rows[_FROM_FAIRSEQ_ROWS]
    if kind == "decoder":
        unread = _folded_shapes(shape)
        state = {name: state[name] for name in state if name.removesuffix(SCALE) not in unread}
    return shape, state


def _shape(path: Path, kind: str, state: State, max_len: int) -> TransformerConfig:
    """Return the shape that the tensors show.

    A config.json may give the number of heads, fewer tokens than `max_len`, and tokens that are
    never written; what else it says of the shape has to agree. Raises CheckpointError for one that
    is of another kind of model.
    """
    vocab_size, width = _embedding_shape(path, state)
    layers = {name.split(".")[1] for name in state if name.startswith("layers.")}
    inner = state.get("layers.0.ffn.up.weight")
    ffn = (inner.shape[0] if inner is not None and inner.ndim else 0) or 1
    config = (path if path.is_dir() else path.parent) / CONFIG
    raw = read_json(config) if is_there(config) else {}
    try:
        if (activation := raw.get("activation_function", "relu")) != "relu":
            raise ValueError(
                f"activation_function {quoted(activation)} is not supported, only 'relu'"
            )
        said = {"d_model": width, "vocab_size": vocab_size}
        if inner is not None:
            said[f"{kind}_ffn_dim"] = ffn
        for key, found in said.items():
            if (value := raw.get(key)) not in (None, found):
                raise ValueError(f"{key} is {quoted(value)}, but the weights have {found}")
        count = _whole(raw, f"{kind}_layers", len(layers), MOST_LAYERS)
        heads = _whole(raw, f"{kind}_attention_heads", max(1, width // HEAD_SIZE), width)
        longest = _whole(raw, "max_position_embeddings", max_len, _MOST_POSITIONS, _FEWEST_TOKENS)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}")
        suppressed = _suppressed(raw, vocab_size)
    except ValueError as error:
        raise CheckpointError(f"{config}: {error}") from None
    check_layers(path, state, config, {"layers": count})
    return TransformerConfig(
        vocab_size, width, count, heads, ffn, min(max_len, longest), suppressed
    )


def _embedding_shape(path: Path, state: State) -> tuple[int, int]:
    """Return the size of the vocabulary and the width of a codec's half."""
    shape = list(state["embed.weight"].shape)
    if len(shape) != 2 or shape[0] <= len(_FROM_FAIRSEQ_ROWS):
        raise CheckpointError(f"{path}: its embedding has the shape {shape}, not (tokens, width)")
    if not 4 <= shape[1] <= MOST_WIDTH or shape[1] % 2:
        raise CheckpointError(
            f"{path} has the width {shape[1]}, not an even number from 4 to {MOST_WIDTH}"
        )
    return shape[0], shape[1]


def _whole(raw: Mapping[str, Any], key: str, default: int, most: int, least: int = 1) -> int:
    value = raw.get(key)
    return default if value is None else whole(key, value, most, least)


def _suppressed(raw: Mapping[str, Any], vocab_size: int) -> tuple[int, ...]:
    """Return the tokens of config.json's `suppress_tokens`, which may not be special ones."""
    found = raw.get("suppress_tokens") or []
    if not isinstance(found, list) or not all(
        type(each) is int and EOS < each < vocab_size for each in found
    ):
        raise ValueError("suppress_tokens of config.json is a list of pieces' ids")
    return tuple(found)


def _folded_shapes(config: TransformerConfig) -> dict[str, torch.Size]:
    """Return the shapes of the tensors in `folded`."""
    square, row = torch.Size([config.width] * 2), torch.Size([config.width])
    shapes = {}
    for n in range(config.layers):
        for part in ("q", "k"):
            shapes[f"layers.{n}.vector_attn.{part}.weight"] = square
            shapes[f"layers.{n}.vector_attn.{part}.bias"] = row
        shapes[f"layers.{n}.vector_attn_norm.weight"] = row
        shapes[f"layers.{n}.vector_attn_norm.bias"] = row
    return shapes


def _check_tied(path: Path, tensors: Mapping[str, Tensor], layout: Layout) -> None:
    """Raise CheckpointError if a copy of the embedding differs from it."""
    first, *others = layout.embeddings(tensors)
    embedding = tensors[first]
    for name in others:
        tied = tensors[name]
        if tied.data_ptr() == embedding.data_ptr():
            continue
        if tied.shape != embedding.shape or not torch.equal(tied, embedding):
            raise CheckpointError(f"{path}: {name} differs from {first}, its tied twin")


def _save_codec_half(
    config: TransformerConfig, state: State, folder: Path, layout: Layout, dtype: torch.dtype
) -> None:
    state = dict(state)
    embedding = state["embed.weight"].clone()
    embedding[:4] = state["embed.weight"][_TO_FAIRSEQ_ROWS]
    state["embed.weight"] = embedding
    renamed = {layout.theirs(name): tensor for name, tensor in state.items()}
    write(folder, _m2m100_json(config), renamed, dtype)


def _m2m100_json(config: TransformerConfig) -> dict[str, Any]:
    sizes = {}
    for kind in ("encoder", "decoder"):
        sizes[f"{kind}_layers"] = config.layers
        sizes[f"{kind}_attention_heads"] = config.heads
        sizes[f"{kind}_ffn_dim"] = config.ffn
    return {
        "model_type": "m2m_100",
        "d_model": config.width,
        "vocab_size": config.vocab_size,
        **sizes,
        "activation_function": "relu",
        "scale_embedding": True,
        "max_position_embeddings": config.max_len,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "unk_token_id": 3,
        **({"suppress_tokens": list(config.suppressed)} if config.suppressed else {}),
    }

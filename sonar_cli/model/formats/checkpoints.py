"""The published checkpoint layouts, as tables of names, and the way from each to ours.

SONAR comes in three: fairseq2's, fairseq's and Hugging Face's M2M100. The last two share their
layers' names and keep the first four embedding rows in the order bos, pad, eos, unk. Reading is
strict: a tensor that is missing, not expected, or of another shape is an error that names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.files import read_tensors
from sonar_cli.model.shapes import PredictorConfig, TransformerConfig, predictor_config, read_json
from sonar_cli.model.systems.sonar_llm import Predictor

State = dict[str, Tensor]

ENCODER_MAX_LEN = 514
DECODER_MAX_LEN = 512
HEAD_SIZE = 64

# fairseq order bos, pad, eos, unk -> the tokenizer's pad, unk, bos, eos; and back.
_FROM_FAIRSEQ_ROWS = [1, 3, 0, 2]
_TO_FAIRSEQ_ROWS = [2, 0, 3, 1]

_FAIRSEQ2_PARTS = {
    "self_attn.q_proj": "self_attn.q",
    "self_attn.k_proj": "self_attn.k",
    "self_attn.v_proj": "self_attn.v",
    "self_attn.output_proj": "self_attn.out",
    "self_attn_layer_norm": "self_attn_norm",
    "encoder_decoder_attn.q_proj": "vector_attn.q",
    "encoder_decoder_attn.k_proj": "vector_attn.k",
    "encoder_decoder_attn.v_proj": "vector_attn.v",
    "encoder_decoder_attn.output_proj": "vector_attn.out",
    "encoder_decoder_attn_layer_norm": "vector_attn_norm",
    "ffn.inner_proj": "ffn.up",
    "ffn.output_proj": "ffn.down",
    "ffn_layer_norm": "ffn_norm",
}
_FAIRSEQ_PARTS = {
    "self_attn.q_proj": "self_attn.q",
    "self_attn.k_proj": "self_attn.k",
    "self_attn.v_proj": "self_attn.v",
    "self_attn.out_proj": "self_attn.out",
    "self_attn_layer_norm": "self_attn_norm",
    "encoder_attn.q_proj": "vector_attn.q",
    "encoder_attn.k_proj": "vector_attn.k",
    "encoder_attn.v_proj": "vector_attn.v",
    "encoder_attn.out_proj": "vector_attn.out",
    "encoder_attn_layer_norm": "vector_attn_norm",
    "fc1": "ffn.up",
    "fc2": "ffn.down",
    "final_layer_norm": "ffn_norm",
}
_LLAMA_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn.q",
    "self_attn.k_proj": "attn.k",
    "self_attn.v_proj": "attn.v",
    "self_attn.o_proj": "attn.out",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn.gate",
    "mlp.up_proj": "ffn.up",
    "mlp.down_proj": "ffn.down",
}


@dataclass(frozen=True)
class Layout:
    """One published way to name a model's tensors.

    `whole` maps names outside the layers to ours, `parts` those inside a layer. `tied` names are
    further copies of the embedding; `ignored` is a pattern of names that may be there unread.
    """

    name: str
    layers: str
    whole: Mapping[str, str]
    parts: Mapping[str, str]
    tied: tuple[str, ...] = ()
    ignored: str = r"(?!)"
    permuted: bool = False

    def rename(self, tensors: Mapping[str, Tensor]) -> tuple[State, list[str]]:
        """Return the tensors under our names, and the names this layout does not know."""
        ours, unknown = {}, []
        for name, tensor in tensors.items():
            if name in self.tied or re.fullmatch(self.ignored, name):
                continue
            new = self._ours(name)
            if new is None:
                unknown.append(name)
            else:
                ours[new] = tensor
        return ours, unknown

    def theirs(self, name: str) -> str:
        """Return this layout's name for one of ours."""
        stem, _, leaf = name.rpartition(".")
        if match := re.fullmatch(r"layers\.(\d+)\.(.+)", stem):
            part = next(theirs for theirs, ours in self.parts.items() if ours == match[2])
            return f"{self.layers}.{match[1]}.{part}.{leaf}"
        return next(theirs for theirs, ours in self.whole.items() if ours == stem) + f".{leaf}"

    def _ours(self, name: str) -> str | None:
        stem, _, leaf = name.rpartition(".")
        if stem in self.whole:
            return f"{self.whole[stem]}.{leaf}"
        match = re.fullmatch(rf"{re.escape(self.layers)}\.(\d+)\.(.+)", stem)
        if match and match[2] in self.parts:
            return f"layers.{int(match[1])}.{self.parts[match[2]]}.{leaf}"
        return None


_FAIRSEQ_EXTRAS = r"(decoder\.|encoder\.)?version|(.*\.)?embed_positions\.(_float_tensor|weights)"

ENCODER_LAYOUTS = (
    Layout(
        "fairseq2",
        layers="encoder.layers",
        whole={"encoder_frontend.embed": "embed", "layer_norm": "norm"},
        parts=_FAIRSEQ2_PARTS,
    ),
    Layout(
        "fairseq or Hugging Face",
        layers="layers",
        whole={"embed_tokens": "embed", "layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        ignored=_FAIRSEQ_EXTRAS,
        permuted=True,
    ),
)
DECODER_LAYOUTS = (
    Layout(
        "fairseq2",
        layers="decoder.layers",
        whole={"decoder_frontend.embed": "embed", "decoder.layer_norm": "norm"},
        parts=_FAIRSEQ2_PARTS,
        tied=("final_proj.weight",),
    ),
    Layout(
        "fairseq",
        layers="layers",
        whole={"embed_tokens": "embed", "layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        tied=("output_projection.weight",),
        ignored=_FAIRSEQ_EXTRAS,
        permuted=True,
    ),
    Layout(
        "Hugging Face",
        layers="model.decoder.layers",
        whole={"model.shared": "embed", "model.decoder.layer_norm": "norm"},
        parts=_FAIRSEQ_PARTS,
        tied=("lm_head.weight", "model.decoder.embed_tokens.weight"),
        ignored=rf"model\.encoder\..*|{_FAIRSEQ_EXTRAS}",
        permuted=True,
    ),
)
PREDICTOR_LAYOUT = Layout(
    "SONAR-LLM",
    layers="llama_model.model.layers",
    whole={
        "llama_model.model.norm": "norm",
        "forward_proj.linear": "forward_proj",
        "reverse_proj.linear": "reverse_proj",
    },
    parts=_LLAMA_PARTS,
    ignored=r"llama_model\.model\.embed_tokens\.weight|llama_model\.lm_head\.weight|sonar_decoder\..*",
)


def read_encoder(path: Path) -> tuple[TransformerConfig, State]:
    """Read a SONAR text encoder in any layout: its shape and its tensors under our names."""
    return _read_codec_half(path, "encoder", ENCODER_LAYOUTS, TextEncoder, ENCODER_MAX_LEN)


def read_decoder(path: Path) -> tuple[TransformerConfig, State]:
    """Read a SONAR text decoder in any layout: its shape and its tensors under our names."""
    return _read_codec_half(path, "decoder", DECODER_LAYOUTS, TextDecoder, DECODER_MAX_LEN)


def read_predictor(path: Path, config: Path | None = None) -> tuple[PredictorConfig, State]:
    """Read a SONAR-LLM: a directory with config.json, or a bare file with its JSON `config`.

    Raises UsageError when a bare file comes without its config, CheckpointError otherwise.
    """
    shape = _read_predictor_config(path, config)
    tensors, _ = read_tensors(path)
    state, unknown = PREDICTOR_LAYOUT.rename(tensors)
    if not state:
        raise CheckpointError(_other_architecture(path, "SONAR-LLM predictor", tensors))
    _check(path, state, unknown, _expected(Predictor, shape), PREDICTOR_LAYOUT)
    return shape, state


def save_encoder(encoder: TextEncoder, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write an encoder in the Hugging Face layout: config.json and model.safetensors."""
    state = encoder.state_dict()
    _save_codec_half(encoder.config, state, folder, ENCODER_LAYOUTS[-1], dtype)


def save_decoder(decoder: TextDecoder, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a decoder in the Hugging Face layout; what folding never reads is written neutral."""
    state = decoder.state_dict()
    state |= folded(decoder.config)
    _save_codec_half(decoder.config, state, folder, DECODER_LAYOUTS[-1], dtype)


def save_predictor(predictor: Predictor, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a predictor as its published repositories have it: config.json and tensors."""
    state = {PREDICTOR_LAYOUT.theirs(k): v for k, v in predictor.state_dict().items()}
    _write(folder, _predictor_json(predictor.config), state, dtype)


def folded(config: TransformerConfig) -> State:
    """Return neutral tensors for what a decoder's file holds and folding never reads."""
    return {
        name: torch.ones(shape) if name.endswith("norm.weight") else torch.zeros(shape)
        for name, shape in _folded_shapes(config).items()
    }


def _read_codec_half(
    path: Path,
    kind: str,
    layouts: tuple[Layout, ...],
    model: type[nn.Module],
    max_len: int,
) -> tuple[TransformerConfig, State]:
    tensors, _ = read_tensors(path)
    layout = next((each for each in layouts if _embedding(each) in tensors), None)
    state, unknown = layout.rename(tensors) if layout else ({}, [])
    is_decoder = any(".vector_attn." in name for name in state)
    if layout is None or is_decoder != (kind == "decoder"):
        raise CheckpointError(_other_architecture(path, f"SONAR text {kind}", tensors))
    shape = _shape(path, kind, state, max_len)
    expected = _expected(model, shape)
    if kind == "decoder":
        expected |= _folded_shapes(shape)
    _check(path, state, unknown, expected, layout)
    _check_tied(path, tensors, layout)
    if layout.permuted:
        # The file is mapped privately: this copies a page or two, not the whole embedding.
        state["embed.weight"][:4] = state["embed.weight"][_FROM_FAIRSEQ_ROWS]
    if kind == "decoder":
        state = {name: state[name] for name in state if name not in _folded_shapes(shape)}
    return shape, state


def _embedding(layout: Layout) -> str:
    return layout.theirs("embed.weight")


def _shape(path: Path, kind: str, state: State, max_len: int) -> TransformerConfig:
    """Take the dimensions from the tensors; the head size is 64 unless a config.json says."""
    vocab_size, width = state["embed.weight"].shape
    layers = {int(name.split(".")[1]) for name in state if name.startswith("layers.")}
    inner = state.get("layers.0.ffn.up.weight")
    folder = path if path.is_dir() else path.parent
    config = folder / "config.json"
    raw = read_json(config) if config.is_file() else {}
    heads = int(raw.get(f"{kind}_attention_heads", 0)) or max(1, width // HEAD_SIZE)
    if width % heads:
        raise CheckpointError(f"{path}: {heads} heads do not divide the width {width}")
    return TransformerConfig(
        vocab_size=vocab_size,
        width=width,
        layers=max(layers, default=-1) + 1,
        heads=heads,
        ffn=inner.shape[0] if inner is not None else 0,
        max_len=max_len,
    )


def _expected(model: Any, shape: TransformerConfig | PredictorConfig) -> dict[str, torch.Size]:
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in model(shape).state_dict().items()}


def _folded_shapes(config: TransformerConfig) -> dict[str, torch.Size]:
    """Return what a decoder's file holds beside our tensors: the query side of cross-attention."""
    square, row = torch.Size([config.width] * 2), torch.Size([config.width])
    shapes = {}
    for n in range(config.layers):
        for part in ("q", "k"):
            shapes[f"layers.{n}.vector_attn.{part}.weight"] = square
            shapes[f"layers.{n}.vector_attn.{part}.bias"] = row
        shapes[f"layers.{n}.vector_attn_norm.weight"] = row
        shapes[f"layers.{n}.vector_attn_norm.bias"] = row
    return shapes


def _check(
    path: Path,
    state: State,
    unknown: list[str],
    expected: Mapping[str, torch.Size],
    layout: Layout,
) -> None:
    unknown = unknown + [layout.theirs(name) for name in state if name not in expected]
    missing = [layout.theirs(name) for name in expected if name not in state]
    if missing:
        raise CheckpointError(f"{path} lacks {_some(missing)}; is it complete?")
    if unknown:
        raise CheckpointError(f"{path} holds tensors this model does not have: {_some(unknown)}")
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise CheckpointError(
                f"{path}: {layout.theirs(name)} has the shape {list(state[name].shape)}, "
                f"but {list(shape)} is expected"
            )


def _check_tied(path: Path, tensors: Mapping[str, Tensor], layout: Layout) -> None:
    embedding = tensors[_embedding(layout)]
    for name in layout.tied:
        tied = tensors.get(name)
        if tied is None or tied.data_ptr() == embedding.data_ptr():
            continue
        if tied.shape != embedding.shape or not torch.equal(tied, embedding):
            raise CheckpointError(
                f"{path}: {name} differs from {_embedding(layout)}, its tied twin"
            )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _other_architecture(path: Path, wanted: str, tensors: Mapping[str, Tensor]) -> str:
    first = next(iter(tensors), "nothing")
    return f"{path} is not a {wanted}: its first tensor is {first}"


def _read_predictor_config(path: Path, config: Path | None) -> PredictorConfig:
    if config is None:
        config = path / "config.json"
        if not path.is_dir():
            raise UsageError(f"{path} is a bare checkpoint; give its JSON with --config FILE")
    try:
        return predictor_config(read_json(config))
    except KeyError as error:
        raise CheckpointError(f"{config} has no {error}; is it a SONAR-LLM config?") from error
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{config}: {error}") from error


def _save_codec_half(
    config: TransformerConfig, state: State, folder: Path, layout: Layout, dtype: torch.dtype
) -> None:
    state = dict(state)
    embedding = state["embed.weight"].clone()
    embedding[:4] = state["embed.weight"][_TO_FAIRSEQ_ROWS]
    state["embed.weight"] = embedding
    renamed = {layout.theirs(name): tensor for name, tensor in state.items()}
    _write(folder, _m2m100_json(config), renamed, dtype)


def _write(folder: Path, config: Mapping[str, Any], state: State, dtype: torch.dtype) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    stored = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in state.items()}
    file = folder / "model.safetensors"
    save_file(stored, str(file), metadata={"format": "pt"})
    file.chmod(0o644)  # safetensors writes for the owner alone


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
    }


def _predictor_json(config: PredictorConfig) -> dict[str, Any]:
    scaling = config.rope_scaling
    rope = None
    if scaling is not None:
        rope = {"rope_type": "llama3", **asdict(scaling)}
        rope["original_max_position_embeddings"] = rope.pop("original_max_len")
    trained_for = {"summary_cue": config.summary_cue, "trained_len": config.trained_len}
    return {
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
        **{key: value for key, value in trained_for.items() if value is not None},
    }

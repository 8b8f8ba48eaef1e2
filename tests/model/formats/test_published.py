"""Layouts that published files come in: trained weights, written in each and read the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonar_cli.errors import CheckpointError
from sonar_cli.model.formats.codec import read_decoder, read_encoder
from sonar_cli.model.formats.predictor import read_predictor
from sonar_cli.model.load import load_codec
from sonar_cli.model.shapes import predictor_config
from sonar_cli.options import ModelPaths, Runtime

GOLDENS = Path(__file__).parents[2] / "goldens"
TRAINED = GOLDENS / "huggingface"
EMBEDDINGS = ("model.shared.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")

State = dict[str, Tensor]


def _encoder() -> State:
    return load_file(TRAINED / "encoder" / "model.safetensors")


def _decoder() -> State:
    return torch.load(TRAINED / "decoder" / "pytorch_model.bin", weights_only=True)


def _write(folder: Path, part: str, state: State, **changes: object) -> Path:
    """Write weights with the trained model's config.json, some of its fields changed."""
    folder = folder / part
    folder.mkdir(parents=True)
    config = json.loads((TRAINED / part / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    save_file({name: each.clone() for name, each in state.items()}, folder / "model.safetensors")
    return folder


def _ported_encoder(embedding: str) -> State:
    """Rename as in transformers' own port of SONAR."""
    state = {f"encoder.{name}": each for name, each in _encoder().items()}
    return {embedding: state.pop("encoder.embed_tokens.weight"), **state}


def _ported_decoder(*embeddings: str) -> State:
    state = _decoder()
    embedding = state["model.shared.weight"]
    inner = {
        name.removeprefix("model."): each
        for name, each in state.items()
        if name.startswith("model.decoder.") and name not in EMBEDDINGS
    }
    return inner | dict.fromkeys(embeddings, embedding)


def _same(read: Callable[[Path], tuple[object, State]], one: Path, other: Path) -> None:
    (shape, state), (other_shape, other_state) = read(one), read(other)
    assert shape == other_shape
    assert state.keys() == other_state.keys()
    assert all(torch.equal(state[name], other_state[name]) for name in state)


@pytest.mark.parametrize("embedding", ["shared.weight", "encoder.embed_tokens.weight"])
def test_the_encoder_of_transformers_sonar(tmp_path: Path, embedding: str) -> None:
    folder = _write(tmp_path, "encoder", _ported_encoder(embedding))
    _same(read_encoder, folder, TRAINED / "encoder")


@pytest.mark.parametrize(
    "embeddings",
    [
        ["shared.weight"],
        ["lm_head.weight"],
        ["decoder.embed_tokens.weight"],
        ["shared.weight", "decoder.embed_tokens.weight", "lm_head.weight"],
    ],
)
def test_the_decoder_of_transformers_sonar(tmp_path: Path, embeddings: list[str]) -> None:
    folder = _write(tmp_path, "decoder", _ported_decoder(*embeddings))
    _same(read_decoder, folder, TRAINED / "decoder")


def test_transformers_sonar_encodes_and_decodes(tmp_path: Path) -> None:
    ported = ModelPaths(
        _write(tmp_path, "encoder", _ported_encoder("shared.weight")),
        _write(tmp_path, "decoder", _ported_decoder("shared.weight")),
        GOLDENS / "tokenizer",
    )
    own = ModelPaths(TRAINED / "encoder", TRAINED / "decoder", GOLDENS / "tokenizer")
    text = ["Lily took the kite to the lake."]
    codecs = [load_codec(paths, Runtime("cpu")) for paths in (ported, own)]
    vectors, others = [codec.encode(text, "eng_Latn") for codec in codecs]
    assert torch.equal(vectors, others)
    again, other = [codec.decode(vectors, "eng_Latn", 5, 64)[0].text for codec in codecs]
    assert again == other


@pytest.mark.parametrize("kept", EMBEDDINGS)
def test_a_decoder_with_one_copy_of_its_embedding(tmp_path: Path, kept: str) -> None:
    state = _decoder()
    embedding = state["model.shared.weight"]
    for name in EMBEDDINGS:
        state.pop(name, None)
    folder = _write(tmp_path, "decoder", {**state, kept: embedding})
    _same(read_decoder, folder, TRAINED / "decoder")


def test_copies_that_differ_are_refused(tmp_path: Path) -> None:
    state = _ported_decoder("decoder.embed_tokens.weight")
    state["lm_head.weight"] = state["decoder.embed_tokens.weight"] + 1
    with pytest.raises(CheckpointError, match=r"lm_head\.weight differs from decoder\.embed_tok"):
        read_decoder(_write(tmp_path, "decoder", state))


def test_halves_are_not_mistaken_for_one_another(tmp_path: Path) -> None:
    encoder = _write(tmp_path, "encoder", _ported_encoder("shared.weight"))
    decoder = _write(tmp_path, "decoder", _ported_decoder("shared.weight"))
    with pytest.raises(CheckpointError, match="is not a SONAR text decoder"):
        read_decoder(encoder)
    with pytest.raises(CheckpointError, match="is not a SONAR text encoder"):
        read_encoder(decoder)


@pytest.mark.parametrize("said", [1, 3])
def test_other_numbers_of_layers_than_the_config_says(tmp_path: Path, said: int) -> None:
    encoder = _write(tmp_path, "encoder", _encoder(), encoder_layers=said)
    words = rf"model\.safetensors holds 2 layers, but its config says {said};"
    with pytest.raises(CheckpointError, match=words):
        read_encoder(encoder)
    decoder = _write(tmp_path, "decoder", _ported_decoder("shared.weight"), decoder_layers=said)
    with pytest.raises(CheckpointError, match=words):
        read_decoder(decoder)
    predictor = shutil.copytree(GOLDENS / "predictors" / "grouped-heads", tmp_path / "predictor")
    config = json.loads((predictor / "config.json").read_text())
    there = config["llama_config"]["num_hidden_layers"]
    config["llama_config"]["num_hidden_layers"] = there + said
    (predictor / "config.json").write_text(json.dumps(config))
    words = rf"model\.safetensors holds {there} layers?, but its config says {there + said};"
    with pytest.raises(CheckpointError, match=words):
        read_predictor(predictor)


def test_another_activation_is_refused_by_name(tmp_path: Path) -> None:
    folder = _write(tmp_path, "encoder", _encoder(), activation_function="gelu")
    with pytest.raises(CheckpointError, match="activation_function 'gelu' is not supported"):
        read_encoder(folder)
    predictor = shutil.copytree(GOLDENS / "predictors" / "grouped-heads", tmp_path / "predictor")
    config = json.loads((predictor / "config.json").read_text())
    config["llama_config"]["hidden_act"] = "gelu"
    (predictor / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"config\.json: hidden_act 'gelu' is not supported"):
        read_predictor(predictor)


@pytest.mark.parametrize("name", ["wide-heads", "grouped-heads"])
def test_the_rotary_settings_of_transformers_5(tmp_path: Path, name: str) -> None:
    trained = GOLDENS / "predictors" / name
    folder = shutil.copytree(trained, tmp_path / name)
    config = json.loads((folder / "config.json").read_text())
    llama = config["llama_config"]
    theta, scaling = llama.pop("rope_theta"), llama.pop("rope_scaling", None)
    kind = scaling or {"rope_type": "default"}
    llama["rope_parameters"] = {"rope_theta": theta, **kind}
    (folder / "config.json").write_text(json.dumps(config))
    _same(read_predictor, folder, trained)


def test_a_rotary_scaling_that_is_not_supported() -> None:
    llama = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    llama |= {"num_attention_heads": 2, "rope_parameters": {"rope_type": "yarn"}}
    with pytest.raises(ValueError, match="'yarn' is not supported, only 'llama3'"):
        predictor_config({"llama_config": llama})

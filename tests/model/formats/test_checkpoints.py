"""Layouts, strictness and broken files."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model import files
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.formats.codec import read_decoder, read_encoder, save_decoder, save_encoder
from sonar_cli.model.formats.predictor import read_predictor, save_predictor
from sonar_cli.model.load import load_codec, load_predictor, pick_device, pick_dtype
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import Drawing, ModelPaths, Runtime


def _same(state: dict, model: nn.Module) -> None:
    own = model.state_dict()
    assert state.keys() == own.keys()
    assert all(torch.equal(state[name], own[name]) for name in own)


def test_encoder_round_trip(tmp_path: Path, encoder) -> None:
    save_encoder(encoder, tmp_path)
    config, state = read_encoder(tmp_path)
    assert config == encoder.config
    _same(state, encoder)


def test_decoder_round_trip(tmp_path: Path, decoder) -> None:
    save_decoder(decoder, tmp_path)
    config, state = read_decoder(tmp_path)
    assert config == decoder.config
    _same(state, decoder)


@pytest.mark.parametrize("container", ["directory", "bin", "model_state_dict"])
def test_predictor_containers(tmp_path: Path, predictor, container: str) -> None:
    save_predictor(predictor, tmp_path)
    path, config = tmp_path, None
    if container != "directory":
        tensors = load_file(tmp_path / "model.safetensors")
        (tmp_path / "model.safetensors").unlink()
        # What the published files carry and nobody reads.
        tensors["llama_model.model.embed_tokens.weight"] = torch.zeros(7, 48)
        tensors["llama_model.lm_head.weight"] = torch.zeros(7, 48)
        if container == "bin":
            torch.save(tensors, tmp_path / "pytorch_model.bin")
        else:
            tensors["sonar_decoder.model.weight"] = torch.zeros(3)
            path, config = tmp_path / "checkpoint.pt", tmp_path / "config.json"
            torch.save({"model_state_dict": tensors, "epoch": 3}, path)
    shape, state = read_predictor(path, config)
    assert shape == predictor.config
    _same(state, predictor)


def test_rows_are_permuted_on_disk(tmp_path: Path, encoder) -> None:
    save_encoder(encoder, tmp_path)
    rows = load_file(tmp_path / "model.safetensors")["embed_tokens.weight"]
    pad, unk, bos, eos = encoder.embed.weight[:4]
    assert torch.equal(rows[:4], torch.stack([bos, pad, eos, unk]))


def _edit(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("layers.1.fc2.bias"), "lacks layers.1.fc2.bias"),
        (lambda t: t.update({"pooler.weight": torch.zeros(2)}), "pooler.weight"),
        (lambda t: t.update({"layers.0.fc1.bias": torch.zeros(5)}), "layers.0.fc1.bias has the"),
    ],
)
def test_strict_encoder_names_the_tensor(tmp_path: Path, encoder, change, words: str) -> None:
    save_encoder(encoder, tmp_path)
    _edit(tmp_path, change)
    with pytest.raises(CheckpointError, match=words.replace(".", r"\.")):
        read_encoder(tmp_path)


def test_suppressed_tokens_are_kept(tmp_path: Path, decoder) -> None:
    config = replace(decoder.config, suppressed=(7, 5))
    other = TextDecoder(config)
    save_decoder(other, tmp_path)
    assert read_decoder(tmp_path)[0] == config


@pytest.mark.parametrize("given", ['"kite"', "[1]", "[99999999]", "[true]", '["▁kite"]'])
def test_tokens_that_cannot_be_suppressed(tmp_path: Path, decoder, given: str) -> None:
    save_decoder(decoder, tmp_path)
    file = tmp_path / "config.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("{", f'{{"suppress_tokens": {given},', 1), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"suppress_tokens of config\.json is a list"):
        read_decoder(tmp_path)


def test_untied_projection_is_refused(tmp_path: Path, decoder) -> None:
    save_decoder(decoder, tmp_path)
    _edit(tmp_path, lambda t: t.update({"lm_head.weight": t["model.shared.weight"] + 1}))
    with pytest.raises(CheckpointError, match="lm_head"):
        read_decoder(tmp_path)


def test_unused_encoder_in_a_decoder_is_ignored(tmp_path: Path, decoder) -> None:
    save_decoder(decoder, tmp_path)
    _edit(tmp_path, lambda t: t.update({"model.encoder.layers.0.fc1.weight": torch.zeros(2)}))
    _same(read_decoder(tmp_path)[1], decoder)


def test_another_architecture(tmp_path: Path, encoder, predictor) -> None:
    save_encoder(encoder, tmp_path / "encoder")
    save_predictor(predictor, tmp_path / "predictor")
    with pytest.raises(CheckpointError, match="not a SONAR text decoder"):
        read_decoder(tmp_path / "encoder")
    with pytest.raises(CheckpointError, match="not a SONAR text encoder"):
        read_encoder(tmp_path / "predictor")
    with pytest.raises(CheckpointError, match="not a SONAR-LLM predictor"):
        read_predictor(tmp_path / "encoder", tmp_path / "predictor" / "config.json")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("size", [0, 100, 20_000])
def test_truncated_file(tmp_path: Path, encoder, name: str, size: int) -> None:
    save_encoder(encoder, tmp_path)
    file = tmp_path / name
    if name.endswith(".bin"):
        torch.save(load_file(tmp_path / "model.safetensors"), file)
        (tmp_path / "model.safetensors").unlink()
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        read_encoder(tmp_path)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"model": {"x": Evil()}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError):
        read_encoder(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_missing_places(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_encoder(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="holds neither"):
        read_encoder(tmp_path)


def test_bare_predictor_needs_its_config(tmp_path: Path, predictor) -> None:
    torch.save({"model_state_dict": predictor.state_dict()}, tmp_path / "c.pt")
    with pytest.raises(UsageError, match="--config"):
        read_predictor(tmp_path / "c.pt")


def test_broken_config(tmp_path: Path, predictor) -> None:
    save_predictor(predictor, tmp_path)
    config = tmp_path / "config.json"
    raw = json.loads(config.read_text())
    del raw["llama_config"]["hidden_size"]
    config.write_text(json.dumps(raw))
    with pytest.raises(CheckpointError, match="hidden_size"):
        read_predictor(tmp_path)
    config.write_text("{")
    with pytest.raises(CheckpointError, match="not a JSON"):
        read_predictor(tmp_path)


def test_how_a_model_draws_is_in_its_config(tmp_path: Path, predictor) -> None:
    own = Drawing(token_temperature=1.0, candidates=4, top_p=0.6)
    drawn = Predictor(replace(predictor.config, drawing=own))
    save_predictor(drawn, tmp_path)
    assert read_predictor(tmp_path)[0].drawing == own
    config = json.loads((tmp_path / "config.json").read_text())
    for broken, words in ({"colour": 1}, "colour"), ({"top_p": 3}, "top_p is from 0 to 1"):
        config["drawing"] = broken
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(CheckpointError, match=words):
            read_predictor(tmp_path)


def test_config_of_another_size_names_the_tensor(tmp_path: Path, predictor) -> None:
    save_predictor(predictor, tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 48', '"hidden_size": 64'))
    with pytest.raises(CheckpointError, match=r"input_layernorm\.weight has the shape"):
        read_predictor(tmp_path)


def test_sharded_files(tmp_path: Path, encoder) -> None:
    save_encoder(encoder, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[:10], names[10:])):
        shard = f"model-{number}.safetensors"
        save_file({name: tensors[name] for name in part}, tmp_path / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    _same(read_encoder(tmp_path)[1], encoder)


def test_loaded_equals_saved(tmp_path: Path, predictor) -> None:
    save_predictor(predictor, tmp_path)
    vectors = torch.randn(2, 5, 64)
    loaded = load_predictor(tmp_path, runtime=Runtime("cpu"))
    assert torch.equal(loaded(vectors), predictor(vectors))
    for dtype, tolerance in (("bfloat16", 0.05), ("float16", 0.01), ("int8", 0.2)):
        low = load_predictor(tmp_path, runtime=Runtime("cpu", dtype))
        inputs = vectors.to(low.norm.weight.dtype)
        error = (low(inputs).float() - predictor(vectors)).abs().max()
        assert 0 < error < tolerance


def test_device_and_dtype_names() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("gpu", "cuda:x", "cpu:a", "cuda:99"):
        with pytest.raises(UsageError):
            pick_device(name)
    assert pick_dtype("auto") == torch.float32
    with pytest.raises(UsageError, match="float64"):
        pick_dtype("float64")


def test_codec_halves_must_match(tmp_path: Path, encoder, decoder, goldens: Path) -> None:
    save_encoder(encoder, tmp_path / "e")
    save_decoder(decoder, tmp_path / "d")
    tokenizer = Path(__file__).parents[3] / "sonar_cli/mini/weights/tokenizer"
    with pytest.raises(CheckpointError, match="60 tokens but the tokenizer"):
        load_codec(ModelPaths(tmp_path / "e", tmp_path / "d", tokenizer), Runtime("cpu"))


@pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_the_pages_of_a_mapped_tensor_can_be_let_go(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    weight = torch.arange(2**20, dtype=torch.float32)
    if file.suffix == ".pt":
        torch.save({"model": {"weight": weight}}, file)
    else:
        save_file({"weight": weight}, file)
    mapped = files.read_tensors(file)[0]["weight"]
    assert torch.equal(mapped, weight)
    before = _resident_file_bytes()
    files.forget_pages(mapped)
    assert before - _resident_file_bytes() >= 0.9 * weight.nbytes
    assert torch.equal(mapped, weight)
    files.forget_pages(weight)  # not mapped: nothing happens
    assert weight[-1] == 2**20 - 1


def _resident_file_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssFile"))

"""Int8 weights run as they are stored: the same results as of the same numbers in float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sonar_cli.errors import CheckpointError
from sonar_cli.hub.convert import convert
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.encoder import TextEncoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.fast.int8 import Int8Linear
from sonar_cli.model.formats.codec import read_decoder, read_encoder
from sonar_cli.model.load import (
    build,
    load_codec,
    load_decoder,
    load_encoder,
    load_predictor,
    prepare,
)
from sonar_cli.model.quantized import dequantized
from sonar_cli.options import ModelPaths, ModelRequest, Runtime

INT8, FLOAT32 = Runtime("cpu", "int8"), Runtime("cpu", "float32")
SENTENCES = ["One day Lily found a kite.", "Tom had a red ball.", "They ran home."]


@pytest.fixture(scope="module")
def paths(tmp_path_factory) -> ModelPaths:
    """The embedded model in int8."""
    folder = tmp_path_factory.mktemp("int8") / "mini"
    convert(resolve(), folder, "int8")
    return resolve(ModelRequest(str(folder)))


def _loaded(paths: ModelPaths, runtime: Runtime) -> NativeCodec:
    codec = load_codec(paths, runtime)
    assert isinstance(codec, NativeCodec)
    return codec


def _texts(codec: NativeCodec, vectors: Tensor) -> list[str]:
    return [each.text for each in codec.decode(vectors)]


def test_as_stored_is_as_quantized_again(paths: ModelPaths) -> None:
    stored, cpu = _loaded(paths, INT8), torch.device("cpu")
    halves = [
        prepare(build(kind, *read(path), cpu, torch.float32), "int8")
        for kind, read, path in (
            (TextEncoder, read_encoder, paths.encoder),
            (TextDecoder, read_decoder, paths.decoder),
        )
    ]
    again = NativeCodec(*halves, stored.tokenizer)
    for one, other in ((stored.encoder, again.encoder), (stored.decoder, again.decoder)):
        kinds = [type(each) for each in one.modules()]
        assert kinds == [type(each) for each in other.modules()] and Int8Linear in kinds
    vectors = stored.encode(SENTENCES)
    assert torch.allclose(vectors, again.encode(SENTENCES), atol=2e-3)
    assert _texts(stored, vectors) == _texts(again, vectors)


def test_the_first_rows_outlive_packing(paths: ModelPaths) -> None:
    """Those that the layout has in another order are looked up behind it as before."""
    decoder = load_decoder(paths.decoder, INT8)
    before = decoder.embed(torch.arange(8)[None])
    for module in decoder.modules():
        if isinstance(module, Int8Linear):
            module.pack()
    assert torch.equal(decoder.embed(torch.arange(8)[None]), before)
    whole = load_decoder(paths.decoder, FLOAT32).embed(torch.arange(8)[None])
    assert torch.allclose(before, whole, atol=1e-5)


def test_it_says_nearly_what_it_was_made_of(paths: ModelPaths) -> None:
    whole = _loaded(resolve(), FLOAT32)
    vectors = whole.encode(SENTENCES)
    for runtime in (INT8, FLOAT32):
        found = _loaded(paths, runtime)
        cosines = torch.cosine_similarity(found.encode(SENTENCES), vectors)
        assert float(cosines.min()) > 0.999
        assert _texts(found, vectors) == _texts(whole, vectors) == SENTENCES
    assert paths.predictor is not None and resolve().predictor is not None
    inputs = vectors[None]
    right = load_predictor(resolve().predictor, runtime=FLOAT32)(inputs)  # type: ignore[arg-type]
    ours = load_predictor(paths.predictor, runtime=INT8)(inputs)
    assert float(torch.cosine_similarity(ours, right, dim=-1).min()) > 0.99


def test_its_folder_asks_for_int8(paths: ModelPaths) -> None:
    assert any(isinstance(each, Int8Linear) for each in load_encoder(paths.encoder).modules())
    trains = load_decoder(paths.decoder, trains=True)
    assert not any(isinstance(each, Int8Linear) for each in trains.modules())


def test_there_and_back(paths: ModelPaths, tmp_path: Path) -> None:
    """Made float32 and int8 again, the values are the same."""
    convert(paths, tmp_path / "whole", "float32")
    convert(resolve(ModelRequest(str(tmp_path / "whole"))), tmp_path / "again", "int8")
    for part in ("predictor", "encoder", "decoder"):
        first = load_file(getattr(paths, part) / "model.safetensors")
        again = load_file(tmp_path / "again" / part / "model.safetensors")
        assert first.keys() == again.keys()
        for name, tensor in first.items():
            assert torch.equal(tensor, again[name]) or tensor.dtype != torch.int8
            assert torch.allclose(tensor.float(), again[name].float(), rtol=1e-6)


def test_the_error_is_at_most_half_a_step(paths: ModelPaths) -> None:
    stored = load_file(paths.encoder / "model.safetensors")
    whole = load_file(resolve().encoder / "model.safetensors")
    made = dequantized(stored)
    assert made.keys() == whole.keys()
    for name, tensor in whole.items():
        step = stored.get(f"{name}_scale", torch.zeros(len(tensor)))
        bound = step[:, None] if tensor.ndim == 2 else torch.zeros(1)
        assert bool(((made[name] - tensor.float()).abs() <= 0.5001 * bound + 1e-6).all())


def _without_scale(tensors: dict[str, Tensor], name: str) -> None:
    del tensors[f"{name}_scale"]


def _of_another_length(tensors: dict[str, Tensor], name: str) -> None:
    tensors[f"{name}_scale"] = torch.ones(3)


def _of_no_number(tensors: dict[str, Tensor], name: str) -> None:
    tensors[f"{name}_scale"][0] = torch.nan


def _of_none(tensors: dict[str, Tensor], name: str) -> None:
    tensors["strange.weight_scale"] = torch.ones(3)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_without_scale, "is of int8, but floating-point numbers are expected"),
        (_of_another_length, "its scales are not one number a row"),
        (_of_no_number, "its scales are not all positive numbers"),
        (_of_none, "holds tensors this model does not have: strange.weight_scale"),
    ],
)
def test_damaged_scales_are_refused(paths: ModelPaths, tmp_path: Path, damage, told: str) -> None:
    tensors = load_file(paths.encoder / "model.safetensors")
    damage(tensors, next(name for name in tensors if name.endswith("fc1.weight")))
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((paths.encoder / "config.json").read_bytes())
    for runtime in (INT8, FLOAT32):
        with pytest.raises(CheckpointError, match=told):
            load_encoder(tmp_path, runtime)

"""Weights laid out for few rows: the same product, the same text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.fast import int8
from sonar_cli.model.fast import packed as packing
from sonar_cli.model.fast.groups import join, joined_bias, without_bias
from sonar_cli.model.fast.int8 import Int8Linear, quantize
from sonar_cli.model.fast.packed import PackedLinear
from sonar_cli.model.load import load_codec, load_predictor, prepare
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import ModelPaths, Runtime

needs_packing = pytest.mark.skipif(not packing.can_pack(), reason="no oneDNN here")


def _maps(sizes: Sequence[int], width: int, bias: bool) -> list[nn.Linear]:
    return [nn.Linear(width, size, bias=bias).requires_grad_(False) for size in sizes]


def _plainly(maps: Sequence[nn.Linear], x: torch.Tensor) -> torch.Tensor:
    return torch.cat([each(x) for each in maps], dim=-1)


@needs_packing
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(96,), (64, 32, 32), (1000, 24)])
@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (5, 2), (1, 70), (40, 1), (3, 60)])
def test_packed_equals_plain(sizes: tuple[int, ...], shape: tuple[int, int], bias: bool) -> None:
    maps = _maps(sizes, 80, bias)
    packed = PackedLinear(maps)
    x = torch.randn(*shape, 80)
    expected = _plainly(maps, x)
    torch.testing.assert_close(packed(x), expected, rtol=0, atol=1e-5)
    packed.pack()
    torch.testing.assert_close(packed(x), expected, rtol=0, atol=1e-5)


@pytest.mark.skipif(not packing.can_pack(torch.bfloat16), reason="no oneDNN for bfloat16 here")
@pytest.mark.parametrize("rows", [1, 5, 70])
def test_packed_equals_plain_in_bfloat16(rows: int) -> None:
    maps = [each.bfloat16() for each in _maps((64, 32), 80, True)]
    packed = PackedLinear(maps)
    x = torch.randn(rows, 80).bfloat16()
    expected = _plainly(maps, x)
    torch.testing.assert_close(packed(x), expected, rtol=0.02, atol=0.02)
    packed.pack()
    torch.testing.assert_close(packed(x), expected, rtol=0.02, atol=0.02)


@needs_packing
def test_packs_when_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "_SMALL", 0)
    packed = PackedLinear(_maps((64,), 32, True))
    for _ in range(packing.PACKING_PAYS):
        packed(torch.randn(1, packing.FEW_ROWS + 1, 32))
        packed(torch.randn(1, 1, 32))  # one row needs no packing
        packed(torch.randn(5, 1, 32))
    assert packed.packed is None
    packed(torch.randn(1, 1, 32))
    assert packed.packed is None
    packed(torch.randn(5, 1, 32))
    assert packed.packed is not None
    assert packed.weights == []


@needs_packing
@pytest.mark.parametrize("widths", [(64,), (32, 48)])
def test_gradients_go_through_packed_weights(widths: tuple[int, ...]) -> None:
    maps = _maps(widths, 32, True)
    packed = PackedLinear(maps)
    for _ in range(2):
        x = torch.randn(3, 5, 32, requires_grad=True)
        y = x.detach().clone().requires_grad_()
        out, expected = packed(x), _plainly(maps, y)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)
        out.square().sum().backward()
        expected.square().sum().backward()
        torch.testing.assert_close(x.grad, y.grad, rtol=0, atol=1e-4)
        packed.pack()


@needs_packing
def test_small_weights_are_packed_whatever_is_multiplied() -> None:
    packed = PackedLinear(_maps((64,), 32, True))
    for _ in range(packing.PACKING_PAYS + 1):
        assert packed.packed is None
        packed(torch.randn(1, packing.FEW_ROWS + 1, 32))
    assert packed.packed is not None


@needs_packing
def test_one_row_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = _maps((160, 96, 40), 80, True)  # 40 is no multiple of the pieces
    x = torch.randn(1, 1, 80)
    seen = []
    bmm = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda a, b: seen.append(a.shape) or bmm(a, b))
    torch.testing.assert_close(PackedLinear(maps)(x), _plainly(maps, x), rtol=0, atol=1e-5)
    assert seen == [(16, 10, 80), (16, 6, 80)]


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_int8_is_close_to_float32(rows: int) -> None:
    maps = _maps((256, 128), 512, True)
    x = torch.randn(rows, 512)
    expected = _plainly(maps, x)
    error = Int8Linear(quantize(maps), joined_bias(maps))(x) - expected
    assert 0 < float(error.norm() / expected.norm()) < 0.02


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (2, 70), (0, 3)])
def test_int8_packed_equals_mapped(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], bias: bool
) -> None:
    monkeypatch.setattr(int8, "_OUTPUTS", 96)
    maps = _maps((160, 96), 512, bias)
    linears = Int8Linear(quantize(maps), joined_bias(maps))
    x = torch.randn(*shape, 512) + 0.3
    if not (x.numel() and torch.cpu._is_vnni_supported()):
        linears.pack()
    before = linears(x)
    linears.pack()
    assert linears.weights is None and len(linears.packed) == 3
    assert before.shape == (*shape, 256)
    torch.testing.assert_close(linears(x), before, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.cpu._is_vnni_supported(), reason="packed at once without VNNI")
def test_int8_packs_when_it_pays() -> None:
    linears = Int8Linear(quantize(_maps((32,), 64, True)), None)
    for _ in range(packing.PACKING_PAYS):
        linears(torch.randn(5, 64))
        linears(torch.randn(packing.FEW_ROWS + 1, 64))
    assert linears.weights is not None
    linears(torch.randn(5, 64))
    assert linears.weights is None and linears.packed


def test_quantizing_keeps_each_rows_largest_weight() -> None:
    maps = _maps((8,), 16, False)
    maps[0].weight[3] = 0.0
    weights = quantize(maps)
    assert joined_bias(maps) is None and weights.values.dtype == torch.int8
    assert weights.values.abs().amax(1).tolist() == [127, 127, 127, 0, 127, 127, 127, 127]
    assert weights.sums.tolist() == weights.values.int().sum(1).tolist()
    torch.testing.assert_close(
        weights.values * weights.scale[:, None],
        maps[0].weight,
        rtol=0,
        atol=float(weights.scale.max()) / 2 + 1e-7,
    )


def test_joined_maps_are_one() -> None:
    maps = _maps((8, 4), 16, True)
    x = torch.randn(3, 16)
    torch.testing.assert_close(join(maps)(x), _plainly(maps, x))
    assert join(maps[:1]) is maps[0]
    weight = torch.randn(5, 16)
    assert without_bias(weight).weight.data_ptr() == weight.data_ptr()


# The second layout's embeddings are put into the tokenizer's order in mapped memory.
LAYOUTS = [
    ("fairseq2/encoder.pt", "fairseq2/decoder.pt"),
    ("huggingface/encoder", "huggingface/decoder"),
]


def _codec(goldens: Path, dtype: str = "float32", layout: int = 0) -> NativeCodec:
    files = [goldens / each for each in LAYOUTS[layout]]
    codec = load_codec(ModelPaths(*files, goldens / "tokenizer"), Runtime("cpu", dtype))
    for half in (codec.encoder, codec.decoder):
        prepare(half, dtype, smallest=0)
    return codec


SENTENCES = ["anna sees a dog .", "the old man sings .", "a .", "tom has a red ball ."]


@needs_packing
@pytest.mark.parametrize("layout", [0, 1])
def test_a_packed_codec_gives_the_same_tokens(
    monkeypatch: pytest.MonkeyPatch, goldens: Path, layout: int
) -> None:
    monkeypatch.setattr(packing, "PACKING_PAYS", 2)
    files = [goldens / each for each in LAYOUTS[0]]
    plain = load_codec(ModelPaths(*files, goldens / "tokenizer"), Runtime("cpu"))
    packed = _codec(goldens, layout=layout)
    assert any(isinstance(each, PackedLinear) for each in packed.decoder.modules())
    assert not any(type(each) is nn.Linear for each in packed.decoder.modules())
    assert isinstance(packed.decoder.head, PackedLinear)
    for _ in range(3):  # unpacked, packing, packed
        vectors = packed.encode(SENTENCES)
        torch.testing.assert_close(vectors, plain.encode(SENTENCES), rtol=0, atol=1e-5)
        for beam in (1, 3, 5):
            ours, theirs = (each.decode(vectors, beam_size=beam) for each in (packed, plain))
            assert [each.ids for each in ours] == [each.ids for each in theirs]
    assert packed.decoder.head.packed is not None


@pytest.mark.parametrize("layout", [0, 1])
def test_an_int8_codec_is_close(goldens: Path, layout: int) -> None:
    plain, quantized = _codec(goldens), _codec(goldens, "int8", layout)
    assert any(isinstance(each, Int8Linear) for each in quantized.decoder.modules())
    vectors = plain.encode(SENTENCES)
    cosine = torch.nn.functional.cosine_similarity(vectors, quantized.encode(SENTENCES), dim=1)
    assert 0.99 < float(cosine.min()) < 1.0


@pytest.mark.parametrize("name", ["wide-heads", "grouped-heads"])
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_a_prepared_predictor_is_the_same(goldens: Path, name: str, dtype: str) -> None:
    path = goldens / "predictors" / name
    plain, ready = (load_predictor(path, runtime=Runtime("cpu")) for _ in range(2))
    prepare(ready, dtype, smallest=0)
    assert ready.layers[0].attn.qkv is not None and ready.layers[0].ffn.gate_up is not None
    vectors = torch.randn(1, 9, plain.config.embed_dim)
    expected = plain(vectors)
    cache = ready.new_cache()
    parts = [ready(part, cache) for part in vectors.split([4, 1, 1, 1, 1, 1], dim=1)]
    found = torch.cat(parts, dim=1)
    if dtype == "float32":
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    else:
        assert 0 < float((found - expected).norm() / expected.norm()) < 0.1


def test_small_maps_stay_as_they_are(predictor: Predictor) -> None:
    prepare(predictor, "float32")
    assert all(type(each) is not PackedLinear for each in predictor.modules())
    assert predictor.layers[0].attn.qkv is None

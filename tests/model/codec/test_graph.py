"""The search that a CUDA graph repeats, run here step by step: the same sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sonar_cli.model.codec.beam import Hypothesis
from sonar_cli.model.codec.graph import StaticSearch
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.codec.search import Search
from sonar_cli.model.codec.tokenizer import EOS, PAD
from sonar_cli.model.load import load_codec
from sonar_cli.options import ModelPaths, Runtime


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    goldens = Path(__file__).parents[2] / "goldens"
    files = (goldens / "fairseq2/encoder.pt", goldens / "fairseq2/decoder.pt")
    return load_codec(ModelPaths(*files, goldens / "tokenizer"), Runtime("cpu"))


@pytest.fixture(scope="module")
def vectors() -> torch.Tensor:
    arrays = np.load(Path(__file__).parents[2] / "goldens" / "expected.npz")
    return torch.from_numpy(arrays["decode.vectors"])


def _prefix(codec: NativeCodec) -> torch.Tensor:
    return torch.tensor([EOS, codec.tokenizer.lang_id("eng_Latn")])


def _static(codec: NativeCodec, texts: int, beam: int, max_len: int) -> StaticSearch:
    prefix = _prefix(codec).expand(texts, -1)
    return StaticSearch(codec.decoder, prefix, beam, max_len, eos=EOS, pad=PAD)


def _same(ours: list[list[Hypothesis]], theirs: list[list[Hypothesis]]) -> None:
    for found, expected in zip(ours, theirs, strict=True):
        assert [each.ids for each in found] == [each.ids for each in expected]
        scores = [each.score for each in expected]
        assert [each.score for each in found] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("beam", [1, 3, 5])
@pytest.mark.parametrize("max_len", [3, 4, 11, 40])
def test_equals_the_growing_search(
    codec: NativeCodec, vectors: torch.Tensor, beam: int, max_len: int
) -> None:
    """Also when it is used again: nothing of the texts before may show."""
    count = len(vectors) // 2
    static, prefix = _static(codec, count, beam, max_len), _prefix(codec)
    with torch.inference_mode():
        for some in (vectors[:count], vectors[count : 2 * count], vectors[:count]):
            expected = codec._search(some, prefix, beam, max_len)
            _same(static.search(some, prefix.expand(count, -1)), expected)


def test_batches_of_any_size_share_few_searches(codec: NativeCodec, vectors: torch.Tensor) -> None:
    search, prefix = Search(codec.decoder), _prefix(codec)
    with torch.inference_mode():
        for count in (1, 2, 3, 4, 5, 7, 8):
            ours = search._captured_search(vectors[:count], prefix, 5, 30, EOS, PAD)
            _same(ours, search(vectors[:count], prefix, 5, 30))
    assert {size for size, *_ in search._captured} == {1, 2, 4, 8}


def test_nothing_moves_in_memory(codec: NativeCodec, vectors: torch.Tensor) -> None:
    """A graph repeats addresses: what a step reads and writes must stay where it is."""
    static = _static(codec, 2, 3, 20)
    kept = {
        name: getattr(owner, name)
        for owner, names in (
            (static, ("rows", "tokens")),
            (static.state, ("constants", "position", "_memory", "_places")),
            (
                static.beams,
                ("ids", "scores", "position", "count", "finished_ids", "finished_scores"),
            ),
        )
        for name in names
    }
    before = {name: tensor.data_ptr() for name, tensor in kept.items()}
    static.search(vectors[:2], _prefix(codec).expand(2, -1))
    now = {**vars(static), **vars(static.state), **vars(static.beams)}
    assert {name: now[name].data_ptr() for name in before} == before


def test_nan_is_an_error(codec: NativeCodec) -> None:
    with pytest.raises(ValueError, match="NaN"):
        _static(codec, 1, 3, 20).search(
            torch.full((1, codec.width), torch.nan), _prefix(codec)[None]
        )

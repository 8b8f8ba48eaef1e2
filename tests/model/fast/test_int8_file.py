"""Int8 weights on disk: made once, used while their source stays the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch

from sonar_cli.model.fast import int8_file
from sonar_cli.model.load import load_predictor
from sonar_cli.model.systems.sonar_llm import Predictor
from sonar_cli.options import Runtime


@pytest.fixture
def source(tmp_path: Path, goldens: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(int8_file, "_WORTH_KEEPING", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(shutil.copytree(goldens / "predictors" / "wide-heads", tmp_path / "source"))


def _load(source: Path, told: list[str] | None = None) -> Predictor:
    notify = told.append if told is not None else None
    return load_predictor(source, runtime=Runtime("cpu", "int8"), notify=notify)


def _answer(predictor: Predictor) -> torch.Tensor:
    vectors = torch.linspace(-1, 1, 3 * predictor.config.embed_dim)
    return predictor(vectors.view(1, 3, -1))


def test_quantized_once_and_mapped_ever_after(source: Path) -> None:
    told: list[str] = []
    first = _answer(_load(source, told))
    assert len(told) == 1 and "int8" in told[0] and str(source) in told[0]
    kept, elsewhere = int8_file.places(source)
    assert kept.parent == source and not elsewhere.exists()
    weights = sum(file.stat().st_size for file in source.glob("*.bin"))
    assert kept.stat().st_size < 0.4 * weights
    assert torch.equal(_answer(_load(source, told)), first)
    assert len(told) == 1
    assert [file.name for file in source.glob("*.partial")] == []


def test_another_source_is_quantized_anew(source: Path) -> None:
    _load(source)
    weights = source / "pytorch_model.bin"
    state = torch.load(weights, weights_only=True)
    torch.save({name: 2 * tensor for name, tensor in state.items()}, weights)
    told: list[str] = []
    _load(source, told)
    assert len(told) == 1
    os.utime(weights, (1, 1))
    _load(source, told)
    assert len(told) == 2


def test_a_broken_file_is_made_anew(source: Path) -> None:
    first = _answer(_load(source))
    kept = int8_file.places(source)[0]
    kept.write_bytes(kept.read_bytes()[:1000])
    told: list[str] = []
    assert torch.equal(_answer(_load(source, told)), first)
    assert len(told) == 1


def test_kept_in_the_cache_where_the_folder_cannot_be_written(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, cache = int8_file.places(source)
    beside.mkdir()  # nothing can be moved to its place, whoever runs this
    first = _answer(_load(source))
    assert cache.exists()
    told: list[str] = []
    assert torch.equal(_answer(_load(source, told)), first)
    assert told == []
    cache.unlink()
    cache.mkdir()
    assert torch.equal(_answer(_load(source, told)), first)
    assert len(told) == 1


def test_small_models_are_quantized_each_time(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_file, "_WORTH_KEEPING", 2**26)
    told: list[str] = []
    _load(source, told)
    assert told == [] and not any(place.exists() for place in int8_file.places(source))


@pytest.mark.parametrize("damage", ["a bit", "zeros", "other weights", "a byte more"])
def test_a_damaged_file_is_made_anew_and_said(source: Path, damage: str) -> None:
    first = _answer(_load(source))
    kept = int8_file.places(source)[0]
    raw = bytearray(kept.read_bytes())
    if damage == "a bit":
        raw[-1000] ^= 16
    elif damage == "zeros":
        raw[-5000:-4000] = bytes(1000)
    elif damage == "a byte more":
        raw += b"\0"
    else:
        raw[-5000:-3000] = raw[-3000:-2000] + raw[-5000:-4000]
    kept.write_bytes(raw)
    told: list[str] = []
    assert torch.equal(_answer(_load(source, told)), first)
    assert told == [f"{kept} is damaged: quantizing {source} to int8, again"]
    _load(source, told)
    assert len(told) == 1


def test_what_is_no_file_is_not_waited_for(source: Path) -> None:
    first = _answer(_load(source))
    kept = int8_file.places(source)[0]
    kept.unlink()
    os.mkfifo(kept)
    assert torch.equal(_answer(_load(source)), first)
    assert kept.is_file()

"""`models convert`: every layout gives a folder that writes the same text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sonar_cli.cli import run
from sonar_cli.hub import convert as converting
from sonar_cli.hub.catalogue import SONAR_DECODER, SONAR_ENCODER, summary_training, trained_split
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.options import GenerationOptions, ModelPaths
from sonar_cli.trained import without_loops
from tests.hub_server import HubServer

GOLDENS = Path(__file__).parents[1] / "goldens"
PARTS = {"predictor", "encoder", "decoder", "tokenizer"}
LAYOUTS = {
    "fairseq2": ("predictors/bare.pt", "fairseq2/encoder.pt", "fairseq2/decoder.pt"),
    "fairseq": ("predictors/grouped-heads", "fairseq/encoder.pt", "fairseq/decoder.pt"),
    "huggingface": ("predictors/wide-heads", "huggingface/encoder", "huggingface/decoder"),
}
WRITE = ["-n", "3", "--max-tokens", "12", "--stop-threshold", "2", "--device", "cpu"]


def _source(layout: str) -> list[str]:
    predictor, encoder, decoder = (str(GOLDENS / each) for each in LAYOUTS[layout])
    bare = ["--config", str(GOLDENS / "predictors" / "bare.json")] if layout == "fairseq2" else []
    tokenizer = str(GOLDENS / "tokenizer" / "sentencepiece.model")
    parts = ["--encoder", encoder, "--decoder", decoder, "--tokenizer", tokenizer]
    return [predictor, *bare, *parts]


@pytest.fixture
def story(tmp_path: Path) -> str:
    file = tmp_path / "story.txt"
    file.write_text("One day Lily found a kite. Tom ran to the lake.")
    return str(file)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_writes_the_same_text(
    tmp_path: Path, story: str, capsys: pytest.CaptureFixture[str], layout: str, dtype: str
) -> None:
    predictor, *parts = _source(layout)
    folder = tmp_path / "made" / "model"
    convert = ["models", "convert", predictor, *parts, "-o", str(folder), "--dtype", dtype]
    assert run(convert) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"{folder}\n", "")
    assert {each.name for each in folder.iterdir()} == PARTS
    for part in ("predictor", "encoder", "decoder"):
        stored = load_file(folder / part / "model.safetensors")
        assert {each.dtype for each in stored.values()} == {getattr(torch, dtype)}
    lines = ["continue", story, *WRITE, "--format", "jsonl", "-q"]
    assert run([*lines, "-m", predictor, *parts, "--dtype", dtype]) == 0
    right = [_timeless(line) for line in capsys.readouterr().out.splitlines()]
    assert run([*lines, "-m", str(folder)]) == 0
    assert [_timeless(line) for line in capsys.readouterr().out.splitlines()] == right
    assert len(right) == 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_int8_is_a_fourth_and_runs_as_such(
    tmp_path: Path, story: str, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    """What it writes is held to other ways to the same weights by `test_int8_stored`."""
    predictor, *parts = _source(layout)
    sizes = {}
    for dtype in ("float32", "int8"):
        folder = tmp_path / dtype
        convert = ["models", "convert", predictor, *parts, "-o", str(folder), "--dtype", dtype]
        assert run(convert) == 0
        stored = [load_file(file) for file in folder.glob("*/model.safetensors")]
        sizes[dtype] = sum(each.nbytes for part in stored for each in part.values())
    kinds = {tensor.dtype for part in stored for tensor in part.values()}
    assert kinds == {torch.int8, torch.float32} and len(stored) == 3
    assert sizes["int8"] < 0.35 * sizes["float32"]
    capsys.readouterr()
    assert run(["continue", story, *WRITE, "-m", str(tmp_path / "int8"), "-q"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3 and err == ""
    assert not list((tmp_path / "int8").rglob("int8.safetensors"))


def _timeless(line: str) -> dict[str, object]:
    return {**json.loads(line), "seconds": 0}


def test_mini_is_converted_as_it_is(tmp_path: Path, story: str, capsys) -> None:
    assert run(["models", "convert", "mini", "-o", str(tmp_path / "mini")]) == 0
    capsys.readouterr()
    assert run(["continue", story, "-n", "4"]) == 0
    right = capsys.readouterr().out
    assert run(["continue", story, "-n", "4", "-m", str(tmp_path / "mini"), "--threads", "1"]) == 0
    assert capsys.readouterr().out == right


def test_a_published_model_keeps_what_its_name_says(
    tmp_path: Path, here: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(GOLDENS / "predictors" / "wide-heads", here.root / "raxtemur/sonar-llm-1.3b")
    shutil.copytree(GOLDENS / "huggingface" / "encoder", here.root / SONAR_ENCODER)
    tokenizer = here.root / SONAR_ENCODER / "sentencepiece.bpe.model"
    shutil.copy(GOLDENS / "tokenizer" / "sentencepiece.model", tokenizer)
    shutil.copytree(GOLDENS / "huggingface" / "decoder", here.root / SONAR_DECODER)
    folder = tmp_path / "made"
    folder.mkdir()  # an empty one may be there
    assert run(["models", "convert", "1.3b", "-o", str(folder), "-q"]) == 0
    config = folder / "predictor" / "config.json"
    assert trained_split("made", config) == "punkt"
    training = summary_training("made", folder / "predictor")
    assert training is not None and training.cue == SUMMARY_CUE
    paths = ModelPaths(folder, folder, folder, folder / "predictor")
    assert without_loops(GenerationOptions(), "made", paths).repeat_threshold == 0.95
    assert not any(each.is_symlink() for each in folder.rglob("*"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, capsys) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert run(["models", "convert", "mini", "-o", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "is there and not empty" in err
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_nothing_half_made_is_left(tmp_path: Path, monkeypatch, capsys) -> None:
    def full(decoder: object, folder: Path, dtype: object) -> None:
        assert (folder.parent / "encoder").is_dir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(converting, "save_decoder", full)
    assert run(["models", "convert", "mini", "-o", str(tmp_path / "mini")]) == 1
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "No space left" in err
    assert list(tmp_path.iterdir()) == []

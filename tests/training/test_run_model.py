"""A codec and a SONAR-LLM on it in one training, as `mini` is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sonar_cli.cli import run
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.load import load_system
from sonar_cli.model.systems.base import SUMMARY_CUE
from sonar_cli.model.systems.sonar_llm import SonarLLMSystem
from sonar_cli.options import Drawing, GenerationOptions, ModelRequest, Runtime
from sonar_cli.pipeline import generate
from sonar_cli.training import recipe as recipes
from sonar_cli.world.patterns import BEATS
from tests.training.dying import killed

SMALL = [
    "codec.data.stories=40", "codec.data.valid=0.1", "codec.model.vocabulary=420",
    "codec.train.steps=3", "codec.train.batch=8", "codec.train.save_seconds=0",
    "predictor.data.stories=20", "predictor.objective.vector_steps=2", "predictor.train.steps=2",
    "predictor.train.batch=2", "predictor.train.save_seconds=0", "predictor.model.hidden=64",
    "predictor.model.ffn=96",
]  # fmt: skip


def _train(folder: Path, *more: str) -> int:
    return run(
        [
            "train",
            "mini",
            *SMALL,
            *more,
            "-o",
            str(folder),
            "--device",
            "cpu",
            "--threads",
            "1",
            "--quiet",
        ]
    )


def _weights(folder: Path) -> dict[str, bytes]:
    files = (path for path in (folder / "model").rglob("*.safetensors"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini")
    assert _train(folder) == 0
    return folder


def test_what_comes_out_loads_and_writes(trained: Path) -> None:
    found = load_system(resolve(ModelRequest(str(trained / "model"))), Runtime("cpu", "float32"))
    assert isinstance(found, SonarLLMSystem)
    assert found.codec.tokenizer.languages == ("eng_Latn",)
    config = found.predictor.config
    assert config.add_begin and config.summary_cue == SUMMARY_CUE
    assert config.drawing == Drawing(token_temperature=1.0, candidates=4, top_p=0.78, seed=0)
    assert config.trained_len is not None and 8 <= config.trained_len <= len(BEATS)
    options = GenerationOptions(sentences=2, beam_size=1, max_tokens=8)
    assert list(generate(found, ["One day Lily found a kite."], options))[-1].stop_reason


def test_every_file_of_the_layout(trained: Path) -> None:
    files = {str(each.relative_to(trained / "model")) for each in (trained / "model").rglob("*.*")}
    halves = {f"{part}/{file}" for part in ("encoder", "decoder", "predictor")
              for file in ("config.json", "model.safetensors")}  # fmt: skip
    pieces = {"tokenizer/sentencepiece.bpe.model", "tokenizer/tokenizer_config.json"}
    assert files == {*halves, *pieces, "recipe.toml", "metrics.json"}
    assert not list(trained.rglob("*.partial"))


def test_the_real_sizes_fit_the_package() -> None:
    """At most 40 MB in float16; the two embeddings depend on the vocabulary."""
    recipe = recipes.read("mini")
    assert isinstance(recipe, recipes.ModelRecipe)
    codec, model = recipe.codec.model, recipe.predictor.model
    width = codec.width
    attention, vector = 4 * width**2, 2 * width**2
    encoder = codec.layers * (attention + 2 * width * codec.encoder_ffn)
    layers = codec.decoder_layers or codec.layers
    decoder = layers * (attention + vector + 2 * width * codec.decoder_ffn)
    predictor = model.layers * (4 * model.hidden**2 + 3 * model.hidden * model.ffn)
    parameters = encoder + decoder + 2 * codec.vocabulary * width + predictor
    assert 2 * parameters < 39_000_000
    assert recipe.codec.dtype == recipe.predictor.dtype == "float16"


def test_killed_in_each_part_it_goes_on(trained: Path, tmp_path: Path) -> None:
    for deaths in (2, 4, 6):  # steps of the codec, of the vectors, of the sentences
        folder = tmp_path / str(deaths)
        words = ["train", "mini", *SMALL, "-o", str(folder), "--device", "cpu", "--threads", "1"]
        assert killed(words, f"call == {deaths}")
        assert _train(folder) == 0
        assert _weights(folder) == _weights(trained)


def test_keys_and_seeds_reach_both_parts(capsys) -> None:
    assert run(["train", "mini", "--seed", "7", "codec.model.width=64", "--show"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("seed = 7") == 2 and "width = 64" in shown and "[predictor.train]" in shown
    assert run(["train", "mini", "codec.train.stps=7", "--show"]) == 2
    assert "did you mean 'codec.train.steps'?" in capsys.readouterr().err


def test_a_dry_run_tries_both_parts(capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", "mini", *SMALL, "--dry-run", "--device", "cpu", "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert "codec:\n    system: codec\n" in out and "predictor:\n    system: sonar-llm\n" in out
    assert list(tmp_path.iterdir()) == []


def test_figures_of_the_last_part_are_in_the_folder(trained: Path) -> None:
    figures = json.loads((trained / "model" / "metrics.json").read_text())
    assert figures["steps"] == 2 and figures["valid_loss"] > 0
    assert json.loads((trained / "codec" / "metrics.json").read_text())["probed"] > 0

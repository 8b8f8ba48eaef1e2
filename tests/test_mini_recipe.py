"""The recipe from end to end, at a size that takes seconds."""

from __future__ import annotations

from pathlib import Path

import torch

from sonar_cli import store
from sonar_cli.config import GenerationOptions
from sonar_cli.mini import recipe
from sonar_cli.model.load import load_model
from sonar_cli.pipeline import generate

TINY = recipe.Sizes(
    codec_stories=60,
    predictor_stories=12,
    vocabulary=600,
    codec_steps=4,
    codec_batch=8,
    predictor_steps=3,
    predictor_batch=4,
    probe=4,
)


def test_from_nothing_to_a_model_that_writes(tmp_path: Path) -> None:
    folder = recipe.train(tmp_path, device="cpu", progress=False, sizes=TINY)
    assert folder == tmp_path / "model"
    model = load_model(store.resolve(str(folder)), "cpu")
    options = GenerationOptions(sentences=2, max_tokens=6, stop_threshold=2.0)
    steps = list(generate(model, ["One day Lily found a kite."], options))
    assert [step.index for step in steps] == [0, 1, None]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 16_000_000
    assert not list(tmp_path.rglob("*.partial"))


def test_a_second_run_goes_on_from_the_first(tmp_path: Path) -> None:
    recipe.train(tmp_path, device="cpu", progress=False, sizes=TINY)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    before = {path: path.read_bytes() for path in files if "checkpoint" not in path.name}
    recipe.train(tmp_path, device="cpu", progress=False, sizes=TINY)
    assert {path: path.read_bytes() for path in before} == before


def test_any_text_has_tokens(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tokenizer = recipe._tokenizer(tmp_path, recipe._sentences(TINY, 0), TINY)
    for text in ("Füße!", "日本語", "😀 λ", "print(x[0])"):
        assert tokenizer.decode(tokenizer.source(text, "eng_Latn")) == text
    assert tokenizer.languages == ("eng_Latn",)

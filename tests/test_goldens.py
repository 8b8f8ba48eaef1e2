"""Our codec and predictor against what the original code answered on the same weights.

`tests/reference/make_goldens.py` writes the folder. Set SONAR_LLM_GOLDENS to another folder to
hold the code to a fresh set made on another seed.
"""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sonar_cli.model.codec.languages import NLLB_LANGUAGES
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec, load_predictor
from sonar_cli.model.shapes import predictor_config
from sonar_cli.model.systems.sonar_llm import Predictor, SonarLLMSystem
from sonar_cli.options import GenerationOptions, ModelPaths, Runtime
from sonar_cli.pipeline import generate

GOLDENS = Path(os.environ.get("SONAR_LLM_GOLDENS", Path(__file__).parent / "goldens"))
LAYOUTS = {
    "fairseq2": ("fairseq2/encoder.pt", "fairseq2/decoder.pt"),
    "fairseq": ("fairseq/encoder.pt", "fairseq/decoder.pt"),
    "huggingface": ("huggingface/encoder", "huggingface/decoder"),
}
NATIVE = "fairseq2"
PREDICTORS = {
    "wide-heads": ("wide-heads", None),  # config.json and pytorch_model.bin
    "grouped-heads": ("grouped-heads", None),  # config.json and model.safetensors
    "bare": ("bare.pt", "bare.json"),  # what the authors' training script saves
}
# The authors write while there are at most 32 sentences, so the text ends with 33.
LIMIT = 33

# Read at import: without the files nothing here can run, and that must be an error.
EXPECTED: dict[str, Any] = json.loads((GOLDENS / "expected.json").read_text(encoding="utf-8"))
ARRAYS = np.load(GOLDENS / "expected.npz")


def _array(name: str) -> torch.Tensor:
    return torch.from_numpy(ARRAYS[name])


@lru_cache
def _codec(layout: str) -> NativeCodec:
    encoder, decoder = LAYOUTS[layout]
    paths = ModelPaths(GOLDENS / encoder, GOLDENS / decoder, GOLDENS / "tokenizer")
    return load_codec(paths, Runtime("cpu"))


@lru_cache
def _predictor(name: str) -> Predictor:
    path, config = PREDICTORS[name]
    folder = GOLDENS / "predictors"
    return load_predictor(folder / path, folder / config if config else None, Runtime("cpu"))


def _label(row: dict[str, Any]) -> str:
    keys = ("lang", "beam", "max_tokens", "batch_size")
    return "-".join(str(row[key]) for key in keys if key in row)


def test_the_codec_was_trained() -> None:
    assert EXPECTED["reconstructed"] >= 0.9


def test_languages_and_vocabulary() -> None:
    tokenizer = _codec(NATIVE).tokenizer
    assert list(NLLB_LANGUAGES) == EXPECTED["languages"]
    assert tokenizer.vocab_size == EXPECTED["vocab_size"]


@pytest.mark.parametrize("row", EXPECTED["tokens"], ids=lambda row: repr(row["text"][:20]))
def test_tokens(row: dict[str, Any]) -> None:
    tokenizer = _codec(NATIVE).tokenizer
    assert tokenizer.source(row["text"], row["lang"]) == row["source"]
    assert tokenizer.target(row["text"], row["lang"]) == row["target"]
    assert tokenizer.decode(row["target"]) == row["decoded"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("row", EXPECTED["encode"], ids=_label)
def test_vectors(layout: str, row: dict[str, Any]) -> None:
    codec = _codec(layout)
    assert (codec.encoder.config.heads, codec.encoder.config.max_len) == (2, 514)
    truncated: list[int] = []
    vectors = codec.encode(row["texts"], row["lang"], row["batch_size"], truncated.append)
    torch.testing.assert_close(vectors, _array(row["vectors"]), rtol=0, atol=1e-5)
    assert bool(truncated) == any(len(text) > 2000 for text in row["texts"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_forced_logits(layout: str) -> None:
    decoder = _codec(layout).decoder
    for row in EXPECTED["forced"]:
        ids = torch.tensor([row["ids"]])
        logits = decoder(_array(row["vector"]).unsqueeze(0), ids)[0]
        torch.testing.assert_close(logits, _array(row["logits"]), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("row", EXPECTED["decode"], ids=_label)
def test_searches(layout: str, row: dict[str, Any]) -> None:
    vectors = _array("decode.vectors")
    found = _codec(layout).decode(
        vectors, row["lang"], row["beam"], row["max_tokens"], row["batch_size"]
    )
    assert len(found) == len(row["found"])
    for ours, theirs in zip(found, row["found"], strict=True):
        if theirs is None:  # the script found it too close to call
            continue
        best = theirs["hypotheses"][0]
        assert list(ours.ids) == best["ids"]
        assert ours.text == theirs["text"]
        assert ours.score == pytest.approx(best["score"], abs=1e-4)


def test_few_searches_are_too_close_to_call() -> None:
    found = [each for row in EXPECTED["decode"] for each in row["found"]]
    assert sum(each is None for each in found) <= 0.05 * len(found)


@pytest.mark.parametrize("row", EXPECTED["decode"], ids=_label)
def test_every_hypothesis(row: dict[str, Any]) -> None:
    """Not only the best one: all that finished, in their order."""
    codec = _codec(NATIVE)
    prefix = torch.tensor([3, codec.tokenizer.lang_id(row["lang"])])
    vectors = _array("decode.vectors")
    with torch.inference_mode():
        found = codec._search(vectors, prefix, row["beam"], row["max_tokens"])
    for ours, theirs in zip(found, row["found"], strict=True):
        if theirs is None:
            continue
        assert [list(each.ids) for each in ours] == [each["ids"] for each in theirs["hypotheses"]]
        scores = [each["score"] for each in theirs["hypotheses"]]
        assert [each.score for each in ours] == pytest.approx(scores, abs=1e-4)


@pytest.mark.parametrize("row", EXPECTED["predict"], ids=lambda row: row["predictor"])
def test_next_vectors(row: dict[str, Any]) -> None:
    predictor, vectors = _predictor(row["predictor"]), _array("predict.vectors")
    assert predictor.config == predictor_config(row["config"])
    torch.testing.assert_close(predictor(vectors), _array(row["next"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("first", [1, 7])
@pytest.mark.parametrize("row", EXPECTED["predict"], ids=lambda row: row["predictor"])
def test_next_vectors_from_the_cache(row: dict[str, Any], first: int) -> None:
    """One sentence at a time, after a prefix of `first` sentences at once."""
    predictor, vectors = _predictor(row["predictor"]), _array("predict.vectors")
    cache = predictor.new_cache()
    parts = [vectors[:, :first], *vectors[:, first:].split(1, dim=1)]
    stepped = torch.cat([predictor(part, cache) for part in parts], dim=1)
    torch.testing.assert_close(stepped, _array(row["next"]), rtol=0, atol=1e-5)


def _loop_label(row: dict[str, Any]) -> str:
    return f"{row['predictor']}-{len(row['sentences'])}-{row['begin']}-{row['threshold']}"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("row", EXPECTED["loops"], ids=_loop_label)
def test_loop(layout: str, row: dict[str, Any]) -> None:
    options = GenerationOptions(
        sentences=LIMIT - len(row["sentences"]) - row["begin"],
        begin=row["begin"],
        stop_threshold=row["threshold"],
    )
    system = SonarLLMSystem(_codec(layout), _predictor(row["predictor"]))
    *steps, last = generate(system, row["sentences"], options)
    assert [step.text for step in steps] == [turn["text"] for turn in row["written"]]
    assert [step.index for step in steps] == list(range(len(steps)))
    assert last.stop_reason == ("end" if row["end"] else "length")
    turns = row["written"] + [row["end"]] * bool(row["end"])
    steps += [last] * bool(row["end"])
    for step, turn in zip(steps, turns, strict=True):
        assert step.similarity_to_end == pytest.approx(turn["similarity"], abs=1e-4)
        assert step.fidelity == pytest.approx(turn["fidelity"], abs=1e-4)


def test_loops_are_many_and_not_trivial() -> None:
    rows = EXPECTED["loops"]
    assert len(rows) >= 25
    # How long they are depends on the machine that trained the toy.
    assert len({len(row["written"]) for row in rows if row["end"]}) >= 3
    assert any(not row["end"] for row in rows)

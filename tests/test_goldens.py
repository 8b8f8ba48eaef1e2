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

from sonar_cli.model.codec import Codec
from sonar_cli.model.languages import NLLB_LANGUAGES
from sonar_cli.model.load import load_codec

GOLDENS = Path(os.environ.get("SONAR_LLM_GOLDENS", Path(__file__).parent / "goldens"))
LAYOUTS = {
    "fairseq2": ("fairseq2/encoder.pt", "fairseq2/decoder.pt"),
    "fairseq": ("fairseq/encoder.pt", "fairseq/decoder.pt"),
    "huggingface": ("huggingface/encoder", "huggingface/decoder"),
}
NATIVE = "fairseq2"

# Read at import: without the files nothing here can run, and that must be an error.
EXPECTED: dict[str, Any] = json.loads((GOLDENS / "expected.json").read_text(encoding="utf-8"))
ARRAYS = np.load(GOLDENS / "expected.npz")


def _array(name: str) -> torch.Tensor:
    return torch.from_numpy(ARRAYS[name])


@lru_cache
def _codec(layout: str) -> Codec:
    encoder, decoder = LAYOUTS[layout]
    return load_codec(GOLDENS / encoder, GOLDENS / decoder, GOLDENS / "tokenizer", "cpu")


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

"""A tokenizer.json gives the same tokens as the SentencePiece model that it was made from.

`tokenizers/bpe` and `tokenizers/unigram` each hold a SentencePiece model, trained on the story
world with a small table of normalizations, and what transformers' NllbTokenizer saves of it: 5.24
of the first, 4.57 of the second.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sonar_cli.errors import CheckpointError
from sonar_cli.model.codec.languages import NLLB_LANGUAGES
from sonar_cli.model.codec.tokenizer import Tokenizer
from sonar_cli.world import stories as world

FOLDER = Path(__file__).parent / "tokenizers"
STRANGE = [
    *("", "  two   spaces ", "\ufb01ne \uff21\u2026", "\u2603 snow \u2603\u2603 man", "a\tb\nc"),
    *("za\u017c\u00f3\u0142\u0107 eng_Latn </s> <unk>", "Xylophone QUIZ 123.45"),
]


def _sentences() -> list[str]:
    draw = random.Random(1)
    signs = "abcdefgh  .,'\"\u2603\u00e9\ufb01\uff21"
    noise = ["".join(draw.choices(signs, k=draw.randrange(40))) for _ in range(500)]
    stories = world.stories(100, seed=9)
    return [*STRANGE, *noise, *(each for story in stories for each in story.sentences)]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_the_tokens_of_the_sentencepiece_model(kind: str) -> None:
    theirs = Tokenizer.load(FOLDER / kind / "sentencepiece.bpe.model")
    ours = Tokenizer.load(FOLDER / kind / "tokenizer.json")
    assert ours.vocab_size == theirs.vocab_size
    assert ours.languages == NLLB_LANGUAGES
    for text in _sentences():
        assert ours.source(text, "eng_Latn") == theirs.source(text, "eng_Latn")
        assert ours.written(text) == theirs.written(text)


def test_a_folder_needs_it_only_without_a_sentencepiece_model(tmp_path: Path) -> None:
    whole = shutil.copytree(FOLDER / "bpe", tmp_path / "whole")
    (whole / "tokenizer.json").write_text("{}")
    assert Tokenizer.load(whole).vocab_size == 606
    alone = shutil.copytree(FOLDER / "bpe", tmp_path / "alone")
    (alone / "sentencepiece.bpe.model").unlink()
    assert Tokenizer.load(alone).vocab_size == 606


def _changed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    raw = json.loads((FOLDER / "bpe" / "tokenizer.json").read_text())
    change(raw)
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(raw))
    return file


def test_its_own_languages_are_added_tokens(tmp_path: Path) -> None:
    own = [{"id": 402, "content": "fra_Latn"}, {"id": 403, "content": "eng_Latn"}]
    file = _changed(tmp_path, lambda raw: raw["added_tokens"].extend(own))
    assert Tokenizer.load(file).languages == ("fra_Latn", "eng_Latn")


def test_merges_as_they_were_written_before(tmp_path: Path) -> None:
    def join(raw: dict[str, Any]) -> None:
        raw["model"]["merges"] = [" ".join(pair) for pair in raw["model"]["merges"]]

    text = "One day Lily found a kite."
    expected = Tokenizer.load(FOLDER / "bpe").pieces(text)
    assert Tokenizer.load(_changed(tmp_path, join)).pieces(text) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["model"].update(type="WordPiece"),
        lambda raw: raw["model"]["vocab"].pop("<pad>"),
        lambda raw: raw["normalizer"]["normalizers"].append({"type": "Lowercase"}),
        lambda raw: raw["pre_tokenizer"].update(type="ByteLevel"),
        lambda raw: raw.pop("added_tokens"),
        lambda raw: raw.clear(),
    ],
)
def test_another_tokenizer_is_refused(tmp_path: Path, change: Callable) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is not NLLB's tokenizer; give"):
        Tokenizer.load(_changed(tmp_path, change))

"""The tokenizer's languages and names; its ids are held to fairseq2's by the goldens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sonar_cli.errors import CheckpointError, UsageError
from sonar_cli.model.codec.languages import NLLB_LANGUAGES
from sonar_cli.model.codec.tokenizer import BOS, EOS, PAD, UNK, Tokenizer

MODEL = Path(__file__).parents[2] / "goldens" / "tokenizer" / "sentencepiece.model"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(MODEL, tmp_path)
    return tmp_path


def _list(folder: Path, tokens: list) -> None:
    text = json.dumps({"additional_special_tokens": tokens})
    (folder / "special_tokens_map.json").write_text(text)


def test_nllb_languages_follow_the_pieces(folder: Path) -> None:
    tokenizer = Tokenizer.load(folder)
    first = tokenizer.vocab_size - 3 - 202
    assert tokenizer.languages == NLLB_LANGUAGES
    assert [tokenizer.lang_id(lang) for lang in NLLB_LANGUAGES[:2]] == [first, first + 1]
    assert NLLB_LANGUAGES.index("pes_Arab") == NLLB_LANGUAGES.index("fao_Latn") + 1


def test_other_languages_are_listed_beside_it(folder: Path) -> None:
    _list(folder, ["eng_Latn", {"content": "fra_Latn"}, "<mask>"])
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.languages == ("eng_Latn", "fra_Latn")
    assert tokenizer.vocab_size == Tokenizer.load(MODEL).vocab_size - 200


def test_nllbs_own_order_does_not_depend_on_a_file(folder: Path) -> None:
    _list(folder, sorted(NLLB_LANGUAGES))
    assert Tokenizer.load(folder).languages == NLLB_LANGUAGES


def test_a_broken_list_or_model_is_one_line(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json"):
        Tokenizer.load(folder)
    (folder / "other.model").write_bytes(b"no")
    with pytest.raises(CheckpointError, match="more than one"):
        Tokenizer.load(folder)
    with pytest.raises(CheckpointError, match="not a SentencePiece model"):
        Tokenizer.load(folder / "other.model")
    with pytest.raises(CheckpointError):
        Tokenizer.load(folder / "nowhere.model")


def test_source_target_and_decode() -> None:
    tokenizer = Tokenizer.load(MODEL)
    lang = tokenizer.lang_id("fra_Latn")
    pieces = tokenizer.pieces("anna sees a dog .")
    assert tokenizer.source("anna sees a dog .", "fra_Latn") == [lang, *pieces, EOS]
    assert tokenizer.target("anna sees a dog .", "fra_Latn") == [EOS, lang, *pieces, EOS]
    text = tokenizer.decode(pieces)
    control = [PAD, BOS, EOS, lang, tokenizer.vocab_size - 1]
    assert tokenizer.decode([*control, *pieces, *control]) == text
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)


def test_unknown_languages_name_near_ones() -> None:
    with pytest.raises(UsageError, match="eng_Latn"):
        Tokenizer.load(MODEL).lang_id("eng")
    with pytest.raises(UsageError, match="deu_Latn"):
        Tokenizer.load(MODEL).lang_id("DEU_latn")


def test_words_that_it_never_saw_are_strange() -> None:
    """Its texts told of kites and Tom, so it has a piece for the one and two for the other."""
    tokenizer = Tokenizer.load(MODEL)
    assert not tokenizer.is_strange("a kite, " * 20)
    assert not tokenizer.is_strange("Tom: a kite, Zeno")
    assert tokenizer.is_strange("Quarterly revenue exceeded expectations.")
    assert not tokenizer.is_strange("")

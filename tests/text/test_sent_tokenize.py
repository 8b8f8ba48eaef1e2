"""`--split punkt` held to NLTK itself: with its data, with data of ours, and without any."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import nltk
import nltk.data
import nltk.tokenize
import pytest
from nltk.tokenize.punkt import (
    PunktParameters,
    PunktSentenceTokenizer,
    PunktTrainer,
    save_punkt_params,
)

from sonar_cli.text import punkt, sent_tokenize
from sonar_cli.text.documents import passages
from sonar_cli.text.sentences import split
from sonar_cli.world import stories as world

BETWEEN = (*"   \n\t\u00a0", "  ", "\n\n", "\r\n", " \n \n", "\n\n\n", "", " -- ")
PIECES = (
    '"Where is it?" asked Tom.',
    "\u201cStop!\u201d she said.",
    'He said, "No." Then he left.',
    "Dr. Smith met J. R. R. Tolkien at 5 p.m. on Monday.",
    "The U.S. Army left.",
    "It cost $3.50, i.e. 4 percent.",
    "(It was late.)",
    "[He ran.]",
    "'Yes.'",
    "Wait... what?! No!!!",
    "A Title",
    "CHAPTER II",
    "1. Find the kite.",
    "- one thing",
    "no full stop at all",
    "He lives in St. Louis, etc. and so on.",
    "Zorg. Smith came.",
    "...",
    "你好。",
    "e.g. this",
)


def _texts() -> list[str]:
    """A thousand texts: stories with what makes splitting hard put between their sentences."""
    draw = random.Random(5)
    texts = []
    for story in world.stories(1000, seed=11):
        sentences = list(story.sentences)
        for _ in range(draw.randrange(8)):
            sentences.insert(draw.randrange(len(sentences) + 1), draw.choice(PIECES))
        texts.append("".join(each + draw.choice(BETWEEN) for each in sentences))
        if draw.random() < 0.1:
            texts[-1] = draw.choice(BETWEEN) + texts[-1]
    return texts


TEXTS = _texts()


def _clear() -> None:
    for cached in (
        punkt.tokenizer,
        sent_tokenize._tokenizer,
        nltk.tokenize._get_punkt_tokenizer,
    ):
        cached.cache_clear()


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is the only place where NLTK looks for its data."""
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    _clear()
    yield tmp_path
    _clear()


def _write(folder: Path, parameters: PunktParameters) -> None:
    place = folder / "tokenizers" / "punkt_tab" / "english"
    place.mkdir(parents=True)
    save_punkt_params(parameters, str(place))


def _check(text: str, theirs: list[str]) -> None:
    found = split(text, "punkt")
    assert [each.text for each in found] == [each.strip() for each in theirs if each.strip()]
    assert all(text[each.start : each.end] == each.text for each in found)


def test_the_sentences_of_sent_tokenize_with_data_of_our_own(data: Path) -> None:
    trainer = PunktTrainer("\n".join(TEXTS[:200]))
    parameters = trainer.get_params()
    parameters.abbrev_types |= {"dr", "st", "p.m", "u.s", "zorg", "i.e", "e.g"}
    _write(data, parameters)
    assert sent_tokenize.has_data()
    for text in TEXTS:
        _check(text, nltk.sent_tokenize(text))


@pytest.mark.skipif(not sent_tokenize.has_data(), reason="NLTK's punkt_tab is not on this machine")
def test_the_sentences_of_sent_tokenize_with_its_own_data() -> None:
    for text in TEXTS:
        _check(text, nltk.sent_tokenize(text))


def test_without_data_punkt_has_our_parameters(data: Path) -> None:
    assert not sent_tokenize.has_data()
    ours = punkt.tokenizer(sent_tokenize.scripts.rules("eng_Latn"))._params
    assert {"dr", "mr"} <= ours.abbrev_types
    theirs = PunktSentenceTokenizer(ours)
    for text in TEXTS:
        _check(text, theirs.tokenize(text))


def test_what_differs_from_our_rules(data: Path) -> None:
    text = '  \n\nA Title\n\n"Where is it?" asked Tom. He\nran.\n\n\nIt rained.\n'
    assert [(each.text, each.paragraph) for each in split(text, "punkt")] == [
        ('A Title\n\n"Where is it?"', 0),
        ("asked Tom.", 1),
        ("He\nran.", 1),
        ("It rained.", 2),
    ]
    assert [each.text for each in split(text, "rules")] == [
        "A Title",
        '"Where is it?" asked Tom.',
        "He ran.",
        "It rained.",
    ]
    assert split(text, "rules") == split(text)
    assert split(" \n", "punkt") == []


def test_plain_text_is_read_whole_and_markup_is_parsed(data: Path) -> None:
    text = "A Title\n\nTom was un-\nhappy. He ran.\r\n\r\n***\n"
    found = list(passages(text, "text", "punkt"))
    assert [each.text for each in found] == ["A Title\n\nTom was un-\nhappy.", "He ran.", "***"]
    assert [text[each.start : each.end] for each in found] == [each.text for each in found]
    found = list(passages('# A kite\n\n"Oh?" said *Tom*.', "markdown", "punkt"))
    assert [(each.text, each.kind) for each in found] == [
        ("A kite", "heading"),
        ('"Oh?"', "prose"),
        ("said Tom.", "prose"),
    ]

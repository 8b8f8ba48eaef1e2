"""Sentences as people write them, with the parameters that the package ships."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar_cli import sentences
from sonar_cli.mini import world
from sonar_cli.sentences import join, split


@pytest.fixture(autouse=True, scope="module")
def _shipped_parameters() -> object:
    """As on a machine without NLTK's data."""
    import nltk.data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk.data, "path", [])
        sentences._punkt.cache_clear()
        yield
    sentences._punkt.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith went home.", ["Dr. Smith went home."]),
        ("He left at 5 p.m. He slept.", ["He left at 5 p.m.", "He slept."]),
        ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", "I read it."]),
        ("So was I. It rained.", ["So was I.", "It rained."]),
        ("It rose 3.5 percent. No. 5 won.", ["It rose 3.5 percent.", "No. 5 won."]),
        ("Well... maybe. Wait... No.", ["Well... maybe.", "Wait...", "No."]),
        ('"Can you help me?" asked Lily.', ['"Can you help me?" asked Lily.']),
        ('"Stop!" he cried. He ran.', ['"Stop!" he cried.', "He ran."]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("\u201cLook!\u201d she said. She ran.", ["\u201cLook!\u201d she said.", "She ran."]),
        ("no full stop at all", ["no full stop at all"]),
        ("Hard\nwrapped\nlines. And more.", ["Hard wrapped lines.", "And more."]),
        ("\ufeffHello\u00a0there.\r\nHow are you?", ["Hello there.", "How are you?"]),
        ("A Title\nIt rained. It stopped.", ["A Title", "It rained.", "It stopped."]),
        ("- one thing\n- two. More.\n1. three", ["- one thing", "- two.", "More.", "1. three"]),
        ("What?! Really!", ["What?!", "Really!"]),
        ("He came (did he?) to tea. He ate.", ["He came (did he?) to tea.", "He ate."]),
        ('He left. "Oh!" "No!" she said.', ["He left.", '"Oh!"', '"No!" she said.']),
        ("", []),
        (" \n\t\r\n ", []),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    assert [each.text for each in split(text)] == expected


def test_paragraphs_survive() -> None:
    text = "One. Two.\r\n\r\n  Three.\n \n\nFour"
    found = split(text)
    assert [(each.text, each.paragraph) for each in found] == [
        ("One.", 0),
        ("Two.", 0),
        ("Three.", 1),
        ("Four", 2),
    ]
    assert join(found) == "One. Two.\n\nThree.\n\nFour"


def test_join_keeps_lists_and_titles() -> None:
    assert join(split("A Title\nIt rained. It stopped.\n\n- one\n- two")) == (
        "A Title\nIt rained. It stopped.\n\n- one\n- two"
    )


def test_lines_are_not_split_further() -> None:
    found = split("One. Two.\n\nThree?  Four!\r\n", "lines")
    assert [each.text for each in found] == ["One. Two.", "Three? Four!"]


def test_the_story_world_comes_back() -> None:
    for story in world.stories(200, seed=3):
        text = " ".join(story.sentences)
        assert tuple(each.text for each in split(text)) == story.sentences


# No deadline: the first example pays for loading NLTK.
@settings(deadline=None)
@given(st.text(st.sampled_from(list("aB.\"'!?1 -\n\r\t\u00a0\u2026)(")), max_size=60))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    found = split(text)
    kept = "".join(text[each.start : each.end] for each in found)
    assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", text)
    ends = [0, *(each.end for each in found)]
    assert all(end <= each.start < each.end for end, each in zip(ends, found, strict=False))
    assert [each.text for each in found] == [
        " ".join(text[each.start : each.end].split()) for each in found
    ]


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    sentences._punkt.cache_clear()
    assert len(split("One. Two.")) == 2


def test_data_on_the_machine_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK's own writer makes the data; its one abbreviation is not among the shipped ones."""
    import nltk.data
    from nltk.tokenize.punkt import PunktParameters, save_punkt_params

    text = "Zorg. Smith left. He ran."
    assert len(split(text)) == 3
    parameters = PunktParameters()
    parameters.abbrev_types.add("zorg")
    folder = tmp_path / "tokenizers" / "punkt_tab" / "english"
    folder.mkdir(parents=True)
    # NLTK writes and reads nowhere but in its data folders.
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    save_punkt_params(parameters, str(folder))
    sentences._punkt.cache_clear()
    try:
        assert [each.text for each in split(text)] == ["Zorg. Smith left.", "He ran."]
    finally:
        sentences._punkt.cache_clear()

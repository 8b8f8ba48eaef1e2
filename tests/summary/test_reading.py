"""Texts read for a summary: long ones split in another process, short ones encoded together."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from sonar_cli.errors import InputError, SonarError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec
from sonar_cli.options import InputOptions, Runtime
from sonar_cli.summary import ahead
from sonar_cli.summary.document import Document, read, read_together
from sonar_cli.summary.vectors import Encoding
from sonar_cli.text.documents import Passage, passages
from sonar_cli.text.inputs import Text
from sonar_cli.world.stories import stories

STORIES = [" ".join(each.sentences) for each in stories(6, 5)]
LINES = "\n\n".join(STORIES)
MARKDOWN = f"# Six stories\n\n{LINES}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> {STORIES[0]}\n"
BINARY = "From: a@b.c\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\nAAAA\n"


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    found = load_codec(resolve(), Runtime("cpu"))
    assert isinstance(found, NativeCodec)
    return found


def _order(text: Text, limit: int = 514) -> ahead.Order:
    return ahead.Order(text, resolve().tokenizer, "eng_Latn", limit)


@pytest.mark.parametrize("limit", [514, 12])
@pytest.mark.parametrize(
    "text",
    [
        Text("a.txt", LINES),
        Text("a.md", MARKDOWN, InputOptions("markdown")),
        Text("a.txt", LINES, InputOptions(split="punkt")),
        Text("a.txt", "  "),
    ],
    ids=["text", "markdown", "punkt", "empty"],
)
def test_another_process_finds_the_same_sentences(
    codec: NativeCodec, text: Text, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = list(ahead.passages(_order(text, limit), codec.tokenizer))
    monkeypatch.setattr(ahead, "_LONG", 0)
    assert list(ahead.passages(_order(text, limit), codec.tokenizer)) == here
    assert bool(here) == bool(text.content.strip())


def test_what_the_other_process_finds_wrong_is_raised_here(
    codec: NativeCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_LONG", 0)
    text = Text("a.eml", BINARY, InputOptions("mail"))
    with pytest.raises(InputError) as here:
        list(text.passages())
    with pytest.raises(InputError, match=str(here.value)):
        list(ahead.passages(_order(text), codec.tokenizer))


def test_a_process_that_ends_too_early_is_an_error(
    codec: NativeCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "_LONG", 0)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SonarError, match="ended too early"):
        list(ahead.passages(_order(Text("a.txt", LINES)), codec.tokenizer))


def test_a_process_whose_sentences_are_not_wanted_any_more_ends(
    codec: NativeCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: object, **more: object) -> None:
            super().__init__(*args, **more)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(ahead, "_LONG", 0)
    monkeypatch.setattr(subprocess, "Popen", Kept)
    found = ahead.passages(_order(Text("a.txt", LINES * 200)), codec.tokenizer)
    assert isinstance(next(found), Passage)
    found.close()  # type: ignore[attr-defined]
    assert started[0].returncode is not None


def test_texts_that_are_read_together_are_read_as_if_each_alone(codec: NativeCodec) -> None:
    texts = [STORIES[0], "", "# Only a heading", *STORIES[1:], "   "]
    encoding = Encoding(codec, "eng_Latn")
    told: list[int] = []
    found = read_together([passages(each) for each in texts], encoding, told.append)
    assert told == [sum(map(len, [*STORIES, texts[2]]))]
    for text, document in zip(texts, found, strict=True):
        if not text.strip():
            assert isinstance(document, InputError)
            continue
        alone = read(passages(text), encoding)
        assert isinstance(document, Document)
        assert document.texts == alone.texts and document.rows == alone.rows
        (own,), (vectors,) = alone.vectors.chunks(), document.vectors.chunks()
        torch.testing.assert_close(vectors, own, rtol=0, atol=1e-5)


def test_batches_side_by_side_give_the_same_vectors(codec: NativeCodec) -> None:
    several = load_codec(resolve(), Runtime("cpu", workers=3))
    sentences = [each.text for text in STORIES for each in passages(text)]
    expected = codec.encode(sentences, batch_size=8)
    found = several.encode(sentences, batch_size=8)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not torch.equal(found[0], found[1])

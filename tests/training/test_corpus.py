"""A corpus on disk: what is in it, and that making it can be stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sonar_cli.errors import UsageError
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_codec
from sonar_cli.options import Runtime
from sonar_cli.training import corpus as c
from sonar_cli.training import vectors
from sonar_cli.training.batches import shaped
from sonar_cli.training.tables import Data
from sonar_cli.world import stories as world

WORLD = Data(stories=30)


@pytest.fixture(scope="module")
def codec() -> NativeCodec:
    found = load_codec(resolve(), Runtime("cpu"))
    assert isinstance(found, NativeCodec)
    return found


def _prepare(folder: Path, data: Data, codec, told: list[str] | None = None) -> c.Corpus:
    notify = (lambda line: None) if told is None else told.append
    return c.prepare(folder, data, codec, resolve(), "codec", False, notify)


def test_texts_and_vectors_are_those_of_the_world(tmp_path: Path, codec: NativeCodec) -> None:
    made = _prepare(tmp_path, WORLD, codec)
    lines = (tmp_path / "sentences.jsonl").read_text().splitlines()
    sentences = [json.loads(line) for line in lines]
    assert sentences[:4] == list(c.SPECIAL) and len(set(sentences)) == len(sentences)
    stories = [story.sentences for story in world.stories(30)]
    for text, story in enumerate(stories):
        assert tuple(sentences[n] for n in made.documents.row(text)) == story
        ids = codec.tokenizer.pieces(" ".join(story))
        found = [piece for number in made.documents.row(text) for piece in made.pieces(number)]
        assert found == ids, "sentence by sentence as the whole text"
    assert made.ends.all()
    wanted = codec.encode(sentences)
    found = torch.from_numpy(np.array(made.vectors)).float()
    torch.testing.assert_close(found, wanted, atol=2e-3, rtol=2e-3)
    assert sorted([*made.train, *made.valid, *made.test]) == list(range(30))
    assert len(made.valid) >= 1


def test_a_batch_and_its_sequences(tmp_path: Path, codec: NativeCodec) -> None:
    made = _prepare(tmp_path, WORLD, codec)
    one, two = (made.documents.row(text).tolist() for text in (0, 1))
    assert made.sequence(0, (c.BEGIN,), c.END) == [c.BEGIN, *one, c.END]
    vectors, mask = made.batch([one, two[:3]])
    assert vectors.shape == (2, shaped(len(one)), 256) and vectors.dtype == torch.float32
    assert mask.sum(1).tolist() == [len(one), 3]
    assert (vectors[1, 3:] == 0).all()
    torch.testing.assert_close(vectors[1, 2], torch.from_numpy(made.vectors[two[2]].copy()).float())


def test_the_parts_never_move(tmp_path: Path, codec: NativeCodec) -> None:
    """A text stays where it is when others come or go."""
    few, more = (
        _prepare(tmp_path / str(count), Data(stories=count, valid=0.2), codec) for count in (30, 60)
    )
    assert set(few.valid) == set(more.valid) & set(range(30))
    assert 0.05 < len(more.valid) / 60 < 0.4


def test_long_texts_are_cut_or_go_on(tmp_path: Path, codec: NativeCodec) -> None:
    text = " ".join(f"Tom saw {word}." for word in "one two three four five six seven".split())
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_text("Ben ran. Ben sat.")
    (tmp_path / "c.txt").write_text("Lily ran. Lily sat. Lily slept.")

    def shapes(folder: str, data: Data) -> list[tuple[int, bool]]:
        made = _prepare(tmp_path / folder, data, codec)
        return list(zip(made.documents.lengths.tolist(), made.ends.tolist(), strict=True))

    path = str(tmp_path / "*.txt")
    assert shapes("on", Data(path, max_sentences=3)) == [
        (3, False), (3, False), (1, True), (2, True), (3, True),
    ]  # fmt: skip
    assert shapes("cut", Data(path, max_sentences=3, cut=True)) == [(3, True), (2, True), (3, True)]
    made = _prepare(tmp_path / "on", Data(path, max_sentences=3), codec)
    assert made.sequence(0, (), c.END)[-1] != c.END and made.sequence(2, (), c.END)[-1] == c.END


def test_a_folder_of_many_formats(tmp_path: Path, codec: NativeCodec) -> None:
    texts = tmp_path / "texts"
    (texts / "deep").mkdir(parents=True)
    (texts / "a.md").write_text("# Tom\n\nTom *ran*. He sat.\n\n```\ncode\n```\n")
    (texts / "deep" / "b.jsonl").write_text('{"text": "Ben ran. Ben sat."}\n{"text": "One."}\n')
    (texts / "bad.txt").write_bytes(b"\xff\xfe\x00")
    (texts / "picture.png").write_bytes(b"\x89PNG")
    told: list[str] = []
    _prepare(tmp_path / "corpus", Data(str(texts)), codec, told)
    lines = (tmp_path / "corpus" / "sentences.jsonl").read_text().splitlines()[4:]
    assert [json.loads(line) for line in lines] == [
        "Tom", "Tom ran.", "He sat.", "Ben ran.", "Ben sat.",
    ]  # fmt: skip
    assert len(told) == 2 and "bad.txt" in told[0] and "1 text of one sentence" in told[1]


def test_stopped_while_encoding(tmp_path: Path, codec: NativeCodec, monkeypatch) -> None:
    monkeypatch.setattr(vectors, "_SHARD", 50)
    whole = np.asarray(_prepare(tmp_path / "whole", WORLD, codec).vectors)
    encode, asked = codec.encode, []

    def stopping(sentences, *arguments, **more):
        asked.append(len(sentences))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return encode(sentences, *arguments, **more)

    monkeypatch.setattr(codec, "encode", stopping)
    with pytest.raises(KeyboardInterrupt):
        _prepare(tmp_path / "stopped", WORLD, codec)
    asked.clear()
    monkeypatch.setattr(codec, "encode", lambda s, **m: asked.append(len(s)) or encode(s, **m))
    made = _prepare(tmp_path / "stopped", WORLD, codec)
    assert sum(asked) == len(whole) - 150
    assert np.array_equal(np.asarray(made.vectors), whole)
    asked.clear()
    _prepare(tmp_path / "stopped", WORLD, codec)
    assert asked == [], "a whole corpus is read"
    with pytest.raises(UsageError, match=r"data.stories 30, not 31: .* --no-resume"):
        _prepare(tmp_path / "stopped", Data(stories=31), codec)
    assert len(_prepare(tmp_path / "stopped", WORLD, codec).vectors) == len(whole)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no file there"),
        ({"a.txt": "One."}, "0 texts of two sentences"),
        ({"a.txt": "One. Two."}, "1 text of two sentences"),
        ({"a.png": "One. Two."}, "no folder with .txt"),
    ],
)
def test_nothing_to_train_on(tmp_path: Path, codec: NativeCodec, files, words: str) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        _prepare(tmp_path / "corpus", Data(str(folder)), codec)
    assert words in str(caught.value) and "\n" not in str(caught.value)

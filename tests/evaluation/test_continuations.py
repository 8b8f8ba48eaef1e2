"""The measures of continuations of real texts, held to texts whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sonar_cli.cli import run as command
from sonar_cli.errors import UsageError
from sonar_cli.evaluation import continuations, likelihood
from sonar_cli.evaluation.continuations import Piece, drawn
from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.load import load_system
from sonar_cli.options import Runtime
from sonar_cli.world import stories as world

TEXT = [f"Sentence {n}." for n in range(30)]


def _values(pieces: list[Piece], written: list[list[str]], known: set[str]) -> list[float]:
    return [each["value"] for each in continuations._text_measures(pieces, written, known)]


def test_pieces_do_not_overlap_and_leave_something_to_follow() -> None:
    pieces = drawn([TEXT, TEXT[:4], ["Only this."]], 10, 0)
    assert len(pieces) == 3 and {len(each.given) for each in pieces} == {4}
    assert sorted(len(each.follow) for each in pieces) == [2, 8, 8]
    together = [s for each in pieces for s in (*each.given, *each.follow)]
    assert sorted(together) == sorted(TEXT)
    assert drawn([TEXT], 2, 1) == drawn([TEXT], 2, 1) and len(drawn([TEXT], 2, 1)) == 2
    with pytest.raises(UsageError, match="no text has more than 4 sentences"):
        drawn([TEXT[:4]], 5, 0)


def test_words_repeats_and_variety() -> None:
    pieces = [Piece(("The dog ran.",), ("It found a bone and a ball.",))] * 2
    small = {"the", "it", "a", "and", "at", "then", "he"}  # WordNet has no such words
    good = [["It saw a cat and a cow."], ["Then 12 dogs barked at it."]]
    assert _values(pieces, good, small)[:2] == [1.0, 0.0]
    assert _values(pieces, [["Zxqv saw it."], ["The dog ran."]], small)[:2] == [5 / 6, 0.5]
    assert _values(pieces, [["Zxqv saw it."], ["He ran."]], {"zxqv", *small})[0] == 1.0
    # The true text says its 6 pairs of words twice; of 12 pairs of ours 11 are different.
    assert _values(pieces, good, small)[2] == pytest.approx((11 / 11) / (6 / 11))
    assert _values(pieces, [["A a a a a a a."]] * 2, small)[2] < 0.3


def test_the_model_is_held_to_the_best_constant_vector() -> None:
    system = load_system(resolve(), Runtime("cpu", "float32"))
    codec = system.codec
    assert isinstance(codec, NativeCodec)
    sentences = [
        each for story in world.stories(6, 1_000, held_out=True) for each in story.sentences
    ]
    target = likelihood.targets(codec, sentences)
    vectors = codec.encode(sentences)
    mean = vectors.mean(0)
    with torch.no_grad():
        constant = likelihood.best_constant(codec, mean, target)
        own, best, start = (
            likelihood.entropy(codec, each.expand(len(target), -1), target)
            for each in (vectors, constant, mean)
        )
    assert own < 0.5 * best and best < start
    texts = [story.sentences for story in world.stories(4, 1_000, held_out=True)]
    report = continuations.run(system, texts, 3, set(), shown=1)
    shown, measures = report.tables
    starts = [" ".join(text[:4]) for text in texts]
    assert len(shown.records) == 1 and shown.records[0]["given"] in starts
    values = {each["measure"]: each for each in measures.records}
    assert values["words that are English"]["value"] > 0.98
    assert values["cross-entropy below the best constant's"]["value"] > 0.5
    assert all(each["met"] is not False for each in measures.records)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    (told,) = world.stories(1, 1_000, held_out=True)
    file.write_text("\n\n".join(told.sentences))
    order = ["evaluate", "continuations", "--threads", "1", "--format", "json"]
    assert command([*order, "--texts", str(file), "--known", str(file), "--show", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["continuations"][0]["given"] == " ".join(told.sentences[:4])
    assert len(found["measures"]) == 6
    file.write_text("Too short.")
    assert command([*order, "--texts", str(file)]) == 2
    assert "none to continue" in capsys.readouterr().err

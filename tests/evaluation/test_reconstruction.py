"""What a codec gives back, held to codecs whose answer is known; the command, to mini's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sonar_cli.cli import run as command
from sonar_cli.errors import UsageError
from sonar_cli.evaluation import reconstruction
from sonar_cli.evaluation.metrics import chrf

SHORT = ["Tom ran.", "The dog saw a cat.", "Lily “liked” it."]
LONG = [f"{start} saw the dog run after the cat and over the wall." for start in ("Tom", "Ben")]


class Words:
    """A codec whose vectors are the sentences, and whose tokenizer writes straight quotes."""

    def __init__(self, lost: str = "") -> None:
        self.lost = lost
        self.tokenizer = self

    def written(self, text: str) -> str:
        return text.replace("“", '"').replace("”", '"')

    def encode(self, sentences: Sequence[str]) -> list[str]:
        return [self.written(each) for each in sentences]

    def decode(self, vectors: Sequence[str]) -> list[Any]:
        return [SimpleNamespace(text=each.replace(self.lost, "")) for each in vectors]


def _run(codec: Any, texts: dict[str, list[str]], count: int = 100) -> dict[tuple[str, str], Any]:
    (table,) = reconstruction.run(codec, texts, count).tables
    return {(each["text"], each["words"]): each for each in table.records}


def test_a_codec_that_loses_nothing() -> None:
    rows = _run(Words(), {"a": SHORT + LONG + SHORT, "b": LONG})
    assert [rows["a", words]["sentences"] for words in ("1-6", "7-12", "1-12", "1-25")] == [
        3, 2, 5, 5,
    ]  # fmt: skip
    assert ("b", "1-6") not in rows and rows["b", "7-12"]["sentences"] == 2
    assert all(each["exact"] == 1 and each["chrf"] == 100 for each in rows.values())


def test_a_codec_that_loses_a_word() -> None:
    rows = _run(Words(" dog"), {"a": SHORT + LONG})
    assert rows["a", "1-6"]["exact"] == pytest.approx(2 / 3)
    assert rows["a", "7-12"]["exact"] == 0 and rows["a", "1-25"]["exact"] == pytest.approx(2 / 5)
    wanted = (200 + chrf("The dog saw a cat.", "The saw a cat.")) / 3
    assert rows["a", "1-6"]["chrf"] == pytest.approx(wanted) and 60 < wanted < 100


def test_so_many_sentences_are_drawn_and_none_that_is_too_long() -> None:
    endless = " ".join(["word"] * 26)
    many = [f"Tom has {n} cats." for n in range(50)]
    assert _run(Words(), {"a": [endless, *many]}, 20)["a", "1-25"]["sentences"] == 20
    with pytest.raises(UsageError, match="no sentence of up to 25 words"):
        reconstruction.run(Words(), {"a": [endless]}, 5)  # type: ignore[arg-type]


def test_the_command_reads_texts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("One day Lily found a kite. Zyxq wvut srqp!\n")
    order = ["evaluate", "codec", "--threads", "1", "--format", "json"]
    assert command([*order, "--texts", str(file), "--stories", "3", "--sentences", "30"]) == 0
    rows = json.loads(capsys.readouterr().out)["codec"]
    assert {each["text"] for each in rows} == {str(file)}
    assert rows[0]["words"] == "1-6" and rows[0]["sentences"] == 2 and rows[0]["exact"] == 0.5
    assert command([*order, "--stories", "3", "--sentences", "30"]) == 0
    rows = json.loads(capsys.readouterr().out)["codec"]
    assert rows[-1]["sentences"] == 30 and rows[-1]["exact"] > 0.9
    assert command([*order, "--texts", str(tmp_path / "none.txt")]) == 2
    assert "none.txt" in capsys.readouterr().err

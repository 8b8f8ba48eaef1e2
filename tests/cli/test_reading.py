"""`continue`, `encode` and `summarize` read a FILE in one and the same way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sonar_cli.text import inputs

MARKDOWN = """# The *kite*

One day **Lily** found a [kite](http://example.org).

```
kite = Kite()
```

- Lily was glad.
"""
READ = ["The kite", "One day Lily found a kite.", "Lily was glad."]
MAIL = "From: a@example.org\nSubject: Kite\n\nOne day Lily found a kite.\n\n> Old text.\n"


def _encoded(call, *arguments: str) -> list[str]:
    status, out, err = call("encode", *arguments, "--format", "jsonl")
    assert (status, err) == (0, "")
    return [json.loads(line)["text"] for line in out.splitlines()]


def test_markup_is_not_fed_to_the_encoder(call, tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text(MARKDOWN)
    assert _encoded(call, str(file)) == READ
    status, out, _ = call("continue", str(file), "-n", "1", "--echo")
    assert status == 0
    assert out.startswith("The kite\n\nOne day Lily found a kite.\n\nLily was glad.\n")
    status, out, _ = call("summarize", str(file), "-n", "9", "--method", "extractive", "--no-cache")
    assert (status, out.splitlines()) == (0, READ[1:])


def test_the_format_can_be_said(call, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text(MARKDOWN)
    assert _encoded(call, str(file), "--input-format", "markdown") == READ
    as_text = _encoded(call, str(file), "--input-format", "text")
    assert "# The *kite*" in as_text and any("kite = Kite()" in each for each in as_text)
    file.write_text(MAIL)
    assert _encoded(call, str(file)) == ["One day Lily found a kite."]
    assert len(_encoded(call, str(file), "--input-format", "text")) > 1


def test_plain_text_is_kept_whole(call, tmp_path: Path) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("CHAPTER I\n\na | b | c\n1 | 2 | 3\n\nTom ran. 12 345 67 89.\n")
    found = " ".join(_encoded(call, str(file)))
    assert found.split() == file.read_text().split()


def test_where_there_is_nothing_else_code_is_read(call, tmp_path: Path) -> None:
    file = tmp_path / "code.md"
    file.write_text("```\nTom ran home.\n```\n")
    assert any("Tom ran home." in each for each in _encoded(call, str(file)))


def test_a_line_of_prose_is_a_sentence(call, tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("# One. Two.\n*Three*\n")
    assert _encoded(call, str(file), "--split", "lines") == ["# One. Two.", "*Three*"]


def test_subtitles_and_chats_are_read(call, tmp_path: Path) -> None:
    file = tmp_path / "film.srt"
    file.write_text("1\n00:00:01,000 --> 00:00:02,000\nOne day Lily found\n\n"
                    "2\n00:00:02,000 --> 00:00:03,000\n<i>a kite.</i>\n")  # fmt: skip
    assert _encoded(call, str(file)) == ["One day Lily found a kite."]
    file = tmp_path / "chat.txt"
    file.write_text("09:15 Lily: Look\n09:16 Tom: A kite\n")
    found = ["09:15 Lily: Look", "09:16 Tom: A kite"]
    assert _encoded(call, str(file)) == found
    assert _encoded(call, str(file), "--input-format", "chat") == found


def test_the_character_set_can_be_said(call, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_bytes("Zo\xeb ran.".encode("latin-1"))
    status, out, err = call("encode", str(file))
    assert (status, out) == (1, "")
    assert err == (
        f"sonar-llm: {file} is not UTF-8: byte 0xeb at offset 2; name its character set with "
        "--encoding\n"
    )
    assert _encoded(call, str(file), "--encoding", "latin-1") == ["Zo\xeb ran."]
    status, out, err = call("encode", str(file), "--encoding", "klingon")
    assert (status, out) == (2, "")
    assert "there is no character set 'klingon'; name it as in latin-1" in err


@pytest.mark.parametrize("name", ["tales.jsonl", "tales"])
def test_json_lines_are_texts_of_their_own(call, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    texts = [MARKDOWN, "Tom ran. Tom sat."]
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    more = [] if name.endswith(".jsonl") else ["--input-format", "jsonl"]
    status, out, _ = call("encode", str(file), "--format", "jsonl", *more)
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(each["file"], each["index"], each["text"]) for each in records] == [
        *((f"{file}:1", index, text) for index, text in enumerate(READ)),
        (f"{file}:2", 0, "Tom ran."),
        (f"{file}:2", 1, "Tom sat."),
    ]


def test_the_same_file_twice_is_two_texts(call, tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_text("One day Lily found a kite.")
    once = call("continue", str(file), "-n", "2")[1]
    assert call("continue", str(file), str(file), "-n", "2")[1] == f"{once}\n{once}"
    extractive = ("--method", "extractive", "--no-cache")
    twice = call("summarize", str(file), str(file), *extractive)[1]
    assert twice == "One day Lily found a kite.\n\nOne day Lily found a kite.\n"


def test_files_are_read_as_they_are_needed(tmp_path: Path, monkeypatch) -> None:
    opened: list[str] = []

    def read_text(name: str, encoding: str | None = None) -> str:
        opened.append(name)
        return f"Text of {name}."

    monkeypatch.setattr(inputs, "read_text", read_text)
    texts = inputs.read_texts(["a", "b", "c"], inputs.InputOptions())
    first = next(texts)
    assert (first.name, first.number, opened) == ("a", 0, ["a"])
    assert [(each.name, each.number) for each in texts] == [("b", 1), ("c", 2)]
    assert opened == ["a", "b", "c"]


def test_a_bad_file_among_good_ones(call, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("One day Lily found a kite.")
    bad.write_bytes(b"\xff")
    for order in ([good, bad, good], [bad, good, good]):
        status, out, err = call("continue", *map(str, order), "-n", "1")
        assert (status, out.count("\n\n"), err.count("\n")) == (1, 1, 1)
        assert "bad.txt is not UTF-8" in err

"""Inputs are cut at records, and read from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sonar_cli.bulk.job import BulkOptions
from sonar_cli.bulk.records import Reader, beside, cut
from sonar_cli.errors import InputError, SonarError, UsageError
from tests.bulk.texts import RECORDS, json_lines, parquet

HOW = BulkOptions(shard_size=3)


def _input(folder: Path, ending: str, records: list[dict[str, Any]] = RECORDS) -> str:
    file = folder / f"texts{ending}"
    return str(parquet(file, records) if ending == ".parquet" else json_lines(file, records))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_shards_hold_all_records_in_order(tmp_path: Path, ending: str, size: int) -> None:
    how = BulkOptions(shard_size=size)
    shards = list(cut([_input(tmp_path, ending)], how))
    assert [each.number for each in shards] == list(range(-(-7 // size)))
    assert {each.texts for each in shards[:-1]} <= {size}
    reader = Reader(how)
    assert [row for each in shards for row in reader.read(each).rows()] == RECORDS


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
def test_shards_are_read_in_any_order(tmp_path: Path, ending: str) -> None:
    files = [_input(tmp_path, ending)]
    (tmp_path / "more").mkdir()
    files.append(_input(tmp_path / "more", ending, RECORDS[::-1]))
    how = BulkOptions(shard_size=2)
    shards = list(cut(files, how))
    wanted = [RECORDS[at : at + 2] for at in (0, 2, 4, 6)]
    wanted += [RECORDS[::-1][at : at + 2] for at in (0, 2, 4, 6)]
    reader = Reader(how)
    for number in (7, 0, 2, 3, 1, 5, 6, 4, 0):
        assert reader.read(shards[number]).rows() == wanted[number]


def test_empty_lines_are_no_records(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl", ["", RECORDS[0], "", "", "{", RECORDS[1], ""])
    (first, second) = cut([str(file)], BulkOptions(shard_size=2))
    assert (first.first, second.first, second.texts) == (2, 6, 1)
    reader = Reader(BulkOptions())
    assert str(reader.read(first).texts[1]) == "line 5 is no JSON object"
    assert reader.read(second).texts == [RECORDS[1]["text"]]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "no 'text'"),
        ({"text": None}, "no 'text'"),
        ({"text": 3}, "is no text"),
        ({"text": " \n"}, "is empty"),
        ({"text": "a" * 101}, "101 characters, more than --max-chars 100"),
        ("[1]", "line 1 is no JSON object"),
        ("[" * 100_000, "line 1 is no JSON object"),
        ('{"text": "' + "\\ud800" + '"', "line 1 is no JSON object"),
    ],
)
def test_what_is_no_text_says_why(tmp_path: Path, value: Any, words: str) -> None:
    how = BulkOptions(max_chars=100)
    file = json_lines(tmp_path / "a.jsonl", [value, {"text": "Tom ran."}])
    (shard,) = cut([str(file)], how)
    bad, good = Reader(how).read(shard).texts
    assert isinstance(bad, InputError) and words in str(bad)
    assert good == "Tom ran."


def test_half_a_character_is_replaced(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl", ['{"text": "A \\ud800.", "x": "\\ud83d\\ude00"}'])
    (shard,) = cut([str(file)], HOW)
    assert Reader(HOW).read(shard).rows() == [{"text": "A \ufffd.", "x": "\U0001f600"}]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"Tom ran.", "none of: .jsonl"),
        ("a.jsonl", b'{"story": "Tom ran."}', "no field 'text'; give --field, one of: story"),
        ("a.jsonl.gz", b"Tom ran.", "cannot be read"),
        ("a.parquet", b"Tom ran.", "cannot be read as Parquet"),
        ("nowhere.jsonl", None, "No such file"),
        ("nowhere.parquet", None, "nowhere.parquet"),
    ],
)
def test_a_bad_input_is_one_line(tmp_path: Path, name: str, data: bytes | None, words: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(SonarError) as caught:
        list(cut([str(tmp_path / name)], HOW))
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError if name == "a.txt" else InputError)


def test_a_truncated_gzip_is_named(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl.gz")
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(InputError, match="cannot be read"):
        list(cut([str(file)], HOW))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
def test_an_input_that_shrank_is_named(tmp_path: Path, ending: str) -> None:
    file = _input(tmp_path, ending)
    *_, last = cut([file], HOW)
    _input(tmp_path, ending, RECORDS[:2])
    with pytest.raises(InputError, match="has changed"):
        Reader(HOW).read(last)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'body'; give --field, one of: id, text, score"):
        list(cut([_input(tmp_path, ".parquet")], BulkOptions(field="body")))


def test_names_that_results_take_are_kept() -> None:
    assert beside(["text", "error"], ["summary", "error"]) == {
        "text": "text",
        "error": "input_error",
    }

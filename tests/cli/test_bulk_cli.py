"""`sonar-llm bulk`: its options and what it says."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bulk.texts import RECORDS, json_lines, made


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    return json_lines(tmp_path / "stories.jsonl", RECORDS[:2])


def test_a_run_says_nothing_unless_asked(call, stories: Path, tmp_path: Path) -> None:
    asked = ["bulk", "continue", str(stories), "-o", str(tmp_path / "out"), "-n", "1"]
    assert call(*asked) == (0, "", "")
    assert [len(each["continuation"]) for each in made(tmp_path / "out")] == [1, 1]
    status, out, err = call(*asked, "-v")
    assert (status, out) == (0, "")
    assert err.splitlines()[-1].startswith("sonar-llm: 0 texts in ")
    status, _, err = call("bulk", "encode", str(stories), "-o", str(tmp_path / "new"), "-v")
    assert status == 0 and "2 texts in " in err and err.endswith(" s a text\n")


def test_errors_are_counted_and_the_status_is_1(call, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl", [RECORDS[0], {"text": ""}, "?"])
    asked = ["bulk", "summarize", str(file), "-o", str(tmp_path / "out"), "-n", "1"]
    said = (
        "sonar-llm: 2 of 3 texts have an error in place of a result, the first in "
        "part-000000.jsonl\n"
    )
    for _ in range(2):  # nothing is made again, and it is told all the same
        assert call(*asked) == (1, "", said)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["continue", "nowhere.jsonl", "-o", "OUT"], 1, "nowhere.jsonl: No such file"),
        (["continue", "STORIES"], 2, "Missing option '-o'"),
        (["encode", "-o", "OUT"], 2, "INPUT"),
        (["encode", "STORIES", "-o", "OUT", "--workers", "2"], 2, "add it"),
        (["encode", "STORIES", "-o", "STORIES"], 2, "is a file"),
        (["summarize", "STORIES", "-o", "OUT", "--field", "body"], 1, "one of: id, text, score"),
        (["continue", "STORIES", "-o", "OUT", "-m", "90m"], 2, "near: 900m"),
        (["continue", "STORIES", "-o", "OUT", "--candidates", "2", "--token-temperature", "0"], 2,
         "--temperature"),
        (["continue", "STORIES", "-o", "OUT", "--shard-size", "0"], 2, "--shard-size"),
    ],
)  # fmt: skip
def test_bad_usage_is_one_line(
    call, stories: Path, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    places = {"STORIES": str(stories), "OUT": str(tmp_path / "out")}
    found, out, err = call("bulk", *(places.get(each, each) for each in arguments))
    assert (found, out) == (status, "")
    assert words in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("package", "more", "words"),
    [("pyarrow", [], "sonar-llm[parquet]"), ("ray", ["--ray"], "sonar-llm[ray]")],
)
def test_a_missing_package_is_named(
    call, stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    package: str, more: list[str], words: str,
) -> None:  # fmt: skip
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "sonar_cli.bulk.parquet", raising=False)
    import sonar_cli.bulk

    monkeypatch.delattr(sonar_cli.bulk, "parquet", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    kind = "parquet" if package == "pyarrow" else "jsonl"
    asked = ["encode", str(stories), "-o", str(tmp_path / "out"), "--format", kind, *more]
    status, out, err = call("bulk", *asked)
    assert (status, out) == (2, "")
    assert words in err and len(err.splitlines()) == 1

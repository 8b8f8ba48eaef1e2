"""The same seed, device, dtype and threads give the same bytes, however the texts are asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sonar_cli import SonarLLM

STORIES = ["One day Lily found a kite.", "Tom had a boat. It was old.", "Near the pier lived Iris."]
DRAWING = {
    "drawn vectors": ["--temperature", "0.4", "--candidates", "3", "--top-p", "0.9"],
    "drawn tokens": ["--token-temperature", "0.9", "--top-p", "0.9", "--candidates", "2"],
    "searched": ["--token-temperature", "0", "--beam-size", "3"],
}


@pytest.fixture
def texts(tmp_path: Path) -> str:
    file = tmp_path / "stories.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in STORIES))
    return str(file)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("how", DRAWING)
def test_twice_gives_the_same_bytes(call, texts: str, how: str, dtype: str) -> None:
    line = ["continue", texts, "-n", "3", "--seed", "7", "--threads", "1", "--dtype", dtype]
    first, second = (call(*line, *DRAWING[how]) for _ in range(2))
    assert first == second
    assert first[0] == 0 and first[1]


@pytest.mark.parametrize("how", DRAWING)
def test_batched_as_alone(call, texts: str, how: str) -> None:
    def written(size: str) -> str:
        line = ["continue", texts, "-n", "3", "--seed", "7", "--threads", "1"]
        status, out, _ = call(*line, *DRAWING[how], "--batch-size", size)
        assert status == 0
        return out

    assert written("1") == written("2") == written("8")


@pytest.mark.parametrize("how", ["continue", "summarize"])
def test_streamed_as_collected(call, tmp_path: Path, how: str) -> None:
    file = tmp_path / "story.txt"
    file.write_text(STORIES[0] + " " + STORIES[1])
    line = [how, str(file), "-n", "3", "--threads", "1"]
    line += ["--no-cache", "--method", "extractive"] if how == "summarize" else []
    plain, lines = (call(*line, "--format", each)[1] for each in ("text", "jsonl"))
    streamed = [text for each in lines.splitlines() if (text := json.loads(each)["text"])]
    assert streamed and streamed == plain.splitlines()


def test_the_seed_of_the_api_is_that_of_the_command_line(call, tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_text(STORIES[0])
    options = ["--temperature", "0.4", "--candidates", "3", "--top-p", "0.9", "--seed", "7"]
    _, out, _ = call("continue", str(file), "-n", "3", "--threads", "1", *options)
    llm = SonarLLM.load("mini", threads=1)
    drawn = {"temperature": 0.4, "candidates": 3, "top_p": 0.9, "seed": 7}
    steps = llm.continue_(STORIES[0], sentences=3, **drawn)
    assert [each.text for each in steps if each.text] == out.splitlines()

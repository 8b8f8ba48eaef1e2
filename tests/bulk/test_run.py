"""Runs over small inputs with `mini`: shards, resuming, formats, errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonar_cli import GenerationOptions, InputOptions, SonarLLM, SummaryOptions, Text
from sonar_cli.bulk import making
from sonar_cli.bulk.folder import Folder
from sonar_cli.bulk.job import BulkOptions, Job
from sonar_cli.bulk.run import Outcome, run
from sonar_cli.bulk.tasks import Continue, Encode, Summarize, Task
from sonar_cli.errors import InputError, SonarError, UsageError
from sonar_cli.options import Runtime
from sonar_cli.pipeline import in_order
from tests.bulk.texts import RECORDS, files, json_lines, made, parquet, whole

TWO = Continue(GenerationOptions(sentences=2))
ONE_CORE = Runtime(device="cpu", threads=1)


@pytest.fixture(scope="module")
def llm() -> SonarLLM:
    return SonarLLM.load("mini", device="cpu", threads=1)


@pytest.fixture(autouse=True)
def _loaded_once(llm: SonarLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give runs in this process one model, of which each takes its own batch size."""

    def opened(request: Any, runtime: Runtime, **more: Any) -> SonarLLM:
        found = SonarLLM(request, runtime, llm.paths, llm.codec, more["notify"])
        found.__dict__["system"] = llm.system
        return found

    monkeypatch.setattr(making.SonarLLM, "open", opened)


def _run(task: Task, inputs: list[Path], folder: Path, batch: int = 8, **how: Any) -> Outcome:
    runtime = replace(ONE_CORE, batch_size=batch)
    job = Job(task, tuple(map(str, inputs)), folder, runtime=runtime, how=BulkOptions(**how))
    return run(job, print, lambda texts, done: nullcontext(lambda finished: None))


def test_continuations_are_those_of_the_texts_alone(llm: SonarLLM, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl")
    done = _run(TWO, [file], tmp_path / "out", shard_size=3)
    assert (done.texts, done.made, done.errors) == (7, 7, 0)
    found = made(tmp_path / "out")
    assert [{name: each[name] for name in RECORDS[0]} for each in found] == RECORDS
    for each in found:
        *steps, ended = llm.continue_(each["text"], sentences=2)
        assert [said["text"] for said in each["continuation"]] == [step.text for step in steps]
        assert each["stop_reason"] == ended.stop_reason
        assert list(each["continuation"][0]) == ["text", "similarity_to_end", "fidelity"]


@pytest.mark.parametrize("drawn", [{}, {"temperature": 2.0, "candidates": 2, "top_p": 0.9}])
def test_neither_batches_nor_shards_change_a_text(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """Without a seed of its own a drawing has one here: 0."""
    file = json_lines(tmp_path / "a.jsonl")
    task = Continue(GenerationOptions(sentences=2, **drawn))
    found = set()
    for batch in (1, 8):
        for size in (3, 5):
            folder = tmp_path / f"{batch}-{size}"
            _run(task, [file], folder, batch, shard_size=size)
            found.add(whole(folder))
    assert len(found) == 1
    _run(Continue(replace(task.options, seed=5)), [file], tmp_path / "other")
    assert whole(tmp_path / "other") not in found


def test_summaries_are_those_of_the_texts_alone(llm: SonarLLM, tmp_path: Path) -> None:
    tale = (Path(__file__).parents[2] / "docs" / "examples" / "tale.txt").read_text()
    file = json_lines(tmp_path / "a.jsonl", [{"text": tale, "summary": "Theirs."}, RECORDS[2]])
    options = SummaryOptions("extractive", 2)
    for size in (1, 2):
        _run(Summarize(options), [file], tmp_path / f"{size}", shard_size=size)
    assert whole(tmp_path / "1") == whole(tmp_path / "2")
    first, _ = made(tmp_path / "1")
    assert first["input_summary"] == "Theirs."
    wanted = llm.summarize(tale, options).sentences
    assert [each["text"] for each in first["summary"]] == [each.text for each in wanted]
    source = first["summary"][0]["sources"][0]
    assert set(source) == {"index", "start", "end", "cosine"}
    assert wanted[0].sources[0].start == source["start"]


def test_vectors_are_columns_of_parquet(llm: SonarLLM, tmp_path: Path) -> None:
    from pyarrow.parquet import read_table

    bad = {"id": 8, "text": "", "more": [1]}
    file = json_lines(tmp_path / "a.jsonl", [RECORDS[0], bad, *RECORDS[1:3]])
    done = _run(Encode(), [file], tmp_path / "out", shard_size=3)
    assert (done.errors, done.first) == (1, "part-000000.parquet")
    table = read_table(tmp_path / "out")  # what is no shard is passed over
    assert table.column_names == ["id", "text", "score", "more", "sentences", "vectors", "error"]
    assert str(table.schema.field("vectors").type).endswith("fixed_size_list<element: float>[256]>")
    rows = table.to_pylist()
    assert rows[1]["vectors"] is None and rows[1]["error"] == "'text' is empty"
    for row in (rows[0], *rows[2:]):
        alone = llm.encode(row["sentences"]).numpy()
        np.testing.assert_allclose(np.array(row["vectors"], np.float32), alone, atol=1e-5)
        assert len(row["sentences"]) >= 1 and row["error"] is None


def test_parquet_stays_parquet_and_may_become_json_lines(tmp_path: Path) -> None:
    from pyarrow.parquet import read_schema, read_table

    file = parquet(tmp_path / "a.parquet")
    _run(TWO, [file], tmp_path / "same", shard_size=3)
    _run(TWO, [file], tmp_path / "lines", shard_size=5, format="jsonl")
    rows = read_table(tmp_path / "same").to_pylist()
    assert [{**each, "error": None} for each in made(tmp_path / "lines")] == rows
    own = read_schema(file)
    schema = read_schema(tmp_path / "same" / "part-000001.parquet")
    assert [schema.field(name) for name in own.names] == list(own)


def test_fields_of_several_kinds_are_no_column(tmp_path: Path) -> None:
    records = [{"text": "Tom ran.", "x": 1}, {"text": 5, "x": 2.5}, {"text": "Ann sat."}]
    file = json_lines(tmp_path / "a.jsonl", records)
    _run(TWO, [file], tmp_path / "numbers", format="parquet", shard_size=1)
    from pyarrow.parquet import read_table

    found = read_table(tmp_path / "numbers")
    assert found["x"].to_pylist() == [1.0, 2.5, None]
    assert found["text"].to_pylist()[1] == "5"
    assert found["error"].to_pylist() == [None, "'text' is no text", None]
    json_lines(file, [*records, {"text": "Tom.", "x": "three"}])
    with pytest.raises(InputError, match="--format jsonl"):
        _run(TWO, [file], tmp_path / "mixed", format="parquet", shard_size=1)


def test_several_inputs_follow_one_another(tmp_path: Path) -> None:
    first = json_lines(tmp_path / "a.jsonl", RECORDS[:2])
    second = json_lines(tmp_path / "b.jsonl.gz", RECORDS[2:])
    _run(TWO, [first, second], tmp_path / "two", shard_size=3)
    assert [each["id"] for each in made(tmp_path / "two")] == list(range(7))
    _run(TWO, [json_lines(tmp_path / "c.jsonl")], tmp_path / "one")
    assert whole(tmp_path / "two") == whole(tmp_path / "one")


def test_bad_records_are_errors_in_their_places(tmp_path: Path) -> None:
    records = [RECORDS[0], "{", {"id": 9}, {"text": "\u200b"}, RECORDS[1]]
    done = _run(TWO, [json_lines(tmp_path / "a.jsonl", records)], tmp_path / "out", shard_size=2)
    found = made(tmp_path / "out")
    assert [each.get("error") for each in found[:3]] == [
        None, "line 2 is no JSON object", "there is no 'text'",
    ]  # fmt: skip
    assert [each.get("id") for each in found] == [0, None, 9, None, 1]
    assert done.errors == sum("error" in each for each in found)
    assert all(("error" in each) != ("continuation" in each) for each in found)
    assert "continuation" in found[4]


def test_a_text_that_cannot_be_worked_on_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = json_lines(tmp_path / "a.jsonl")
    _run(TWO, [file], tmp_path / "good")
    sentences = Text.sentences

    def failing(self: Text) -> Any:
        if self.content == RECORDS[3]["text"]:
            raise IndexError("out of range")
        return sentences(self)

    monkeypatch.setattr(Text, "sentences", failing)
    assert _run(TWO, [file], tmp_path / "out", shard_size=5).errors == 1
    found, wanted = made(tmp_path / "out"), made(tmp_path / "good")
    assert found[3]["error"] == "IndexError: out of range"
    assert [each.get("continuation") for each in found[:3] + found[4:]] == [
        each["continuation"] for each in wanted[:3] + wanted[4:]
    ]


def test_several_languages(tmp_path: Path) -> None:
    task = Continue(GenerationOptions(sentences=1, target_langs=("eng_Latn", "eng_Latn")))
    file = json_lines(tmp_path / "a.jsonl", RECORDS[:2])
    _run(task, [file], tmp_path / "out")
    assert [[said["lang"] for said in each["continuation"]] for each in made(tmp_path / "out")] == [
        ["eng_Latn", "eng_Latn"]
    ] * 2
    _run(task, [file], tmp_path / "columns", format="parquet")
    with pytest.raises(UsageError, match="eng_Latn"):
        _run(Continue(GenerationOptions(target_langs=("deu_Latn",))), [file], tmp_path / "german")


def test_finished_shards_are_not_made_again(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl")
    _run(TWO, [file], tmp_path / "out", shard_size=2)
    wanted = files(tmp_path / "out")
    # What a run leaves that is killed while it writes a shard, or between a shard and its note.
    for name in ("part-000001.jsonl", "_finished/000001.json", "_finished/000003.json"):
        (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / "_part-000001.jsonl.here.7.partial").write_text('{"id": 2, "te')
    done = _run(TWO, [file], tmp_path / "out", shard_size=2)
    assert (done.texts, done.made) == (7, 3)
    assert files(tmp_path / "out") == wanted
    assert _run(TWO, [file], tmp_path / "out", shard_size=2).made == 0


def test_another_job_is_refused(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl")
    out = tmp_path / "out"
    _run(TWO, [file], out)
    wanted = files(out)
    three = Continue(GenerationOptions(sentences=3))
    again: list[tuple[str, Callable[[], Outcome]]] = [
        ("sentences 2, not 3", lambda: _run(three, [file], out)),
        ("shard_size 1000, not 2", lambda: _run(TWO, [file], out, shard_size=2)),
        ("command bulk continue, not bulk encode", lambda: _run(Encode(), [file], out)),
        ("texts 7, not 14", lambda: _run(TWO, [file, file], out)),
    ]
    for words, call in again:
        with pytest.raises(UsageError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value) and "another -o" in str(caught.value)
    assert _run(TWO, [file], out, batch=1).made == 0
    json_lines(file, [*RECORDS[:6], RECORDS[0]])
    with pytest.raises(UsageError, match="input 1"):
        _run(TWO, [file], out)
    assert files(out) == wanted


def test_a_folder_without_a_shard_may_begin_anew(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl")
    wrong = Continue(GenerationOptions(source_lang="eng"))
    with pytest.raises(UsageError, match="near: eng_Latn"):
        _run(wrong, [file], tmp_path / "out")
    assert _run(TWO, [file], tmp_path / "out").made == 7


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with Folder(tmp_path).held(), pytest.raises(SonarError, match="another run is at work"):
        _run(TWO, [json_lines(tmp_path / "a.jsonl")], tmp_path)


def test_nothing_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text in the inputs"):
        _run(TWO, [json_lines(tmp_path / "a.jsonl", [""])], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_job_reads_as_a_command_does(llm: SonarLLM, tmp_path: Path) -> None:
    """Markdown and lines are read as such in a record too."""
    text = "# Iris\n\nNear the pier *lived* Iris.\n"
    file = json_lines(tmp_path / "a.jsonl", [{"text": text}])
    for options in (InputOptions("markdown"), InputOptions(split="lines")):
        folder = tmp_path / options.split
        job = Job(TWO, (str(file),), folder, runtime=ONE_CORE, reading=options)
        run(job, print, lambda texts, done: nullcontext(lambda finished: None))
        steps = in_order(llm.continue_many([Text("a", text, options)], sentences=2))
        wanted = [step.text for _, step in steps if step.text]
        assert [said["text"] for said in made(folder)[0]["continuation"]] == wanted


@pytest.mark.parametrize("ended", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_goes_on(tmp_path: Path, ended: signal.Signals) -> None:
    """Ended as a process of its own, after its first shard, and run again: the same bytes."""
    file = json_lines(tmp_path / "a.jsonl")
    out = tmp_path / "out"
    # -n 2 as above, a shard a text.
    command = [sys.executable, "-m", "sonar_cli", "bulk", "continue", str(file), "-o", str(out)]
    command += ["-n", "2", "--shard-size", "1", "--device", "cpu", "--batch-size", "1"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("SONAR_LLM_")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (out / "_finished" / "000000.json").exists():
        time.sleep(0.005)
    process.send_signal(ended)
    stdout, stderr = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("all shards were made before it could be ended")
    assert process.returncode == (130 if ended == signal.SIGINT else -signal.SIGKILL)
    assert (stdout, stderr) == (b"", b"sonar-llm: interrupted\n" if ended == signal.SIGINT else b"")
    before = len(list((out / "_finished").glob("*.json")))
    assert 1 <= before < 7
    again = subprocess.run(command, capture_output=True)
    assert (again.returncode, again.stdout, again.stderr) == (0, b"", b"")
    shutil.copytree(out, tmp_path / "resumed")
    shutil.rmtree(out)
    assert subprocess.run(command).returncode == 0
    assert files(tmp_path / "resumed") == files(out)
    assert json.loads((out / "_manifest.json").read_text())["inputs"]["texts"] == 7

"""Standard streams as the system gives them, and signals, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STORY = "One day Lily found a kite.\n"
SONAR_LLM = f"{sys.executable} -m sonar_cli"
# Writes what no narrow character set has, a file's name that is no UTF-8, and JSON.
WRITE = (
    "import sys; from sonar_cli import render; render.prepare(); "
    "render.show('Zoë met 日本', 'caf\\udce9'); "
    "render.show(render.as_json({'Zoë': '日😀\\udce9'}, sys.stdout)); "
    "print(render.loses(), file=sys.stderr)"
)


def _shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SONAR_LLM_", "PYTHONIOENCODING", "PYTHONUTF8", "LC_", "LANG"))
    }
    return subprocess.run(
        ["bash", "-c", line.replace("sonar-llm", SONAR_LLM)],
        cwd=folder,
        env={**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.txt"
    file.write_text(STORY)
    return file


@pytest.mark.parametrize("command", ["--help", "models list", "train mini --show"])
def test_a_closed_stdout_is_an_error(tmp_path: Path, command: str) -> None:
    done = _shell(f"sonar-llm {command} >&-", tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"sonar-llm: standard output: Bad file descriptor\n"


@pytest.mark.parametrize("command", ["--help", "models list", "train mini --show", "help continue"])
def test_a_reader_that_goes_away_is_none(tmp_path: Path, command: str) -> None:
    done = _shell(f"sonar-llm {command} | head -c 1; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert done.stdout[1:] == b"0\n" and done.stderr == b""
    done = _shell(f"sonar-llm {command} | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_no_stream_is_needed_for_a_file(story: Path) -> None:
    done = _shell("sonar-llm continue story.txt -n 1 -o out.txt <&- >&- 2>&-", story.parent)
    assert done.returncode == 0
    assert len((story.parent / "out.txt").read_text().splitlines()) == 1
    assert sorted(each.name for each in story.parent.iterdir()) == ["out.txt", "story.txt"]


@pytest.mark.parametrize(
    ("line", "status", "err"),
    [
        ("encode <&-", 1, "standard input is empty; there is nothing to work on"),
        ("encode 0>written", 1, "standard input: Bad file descriptor"),
        ("encode nowhere 2>&-", 1, ""),
        ("encode $'caf\\xe9 [red]x[/red].txt'", 1, "caf\\xe9 [red]x[/red].txt: no such file"),
        ("encode $'a\\e[31m\\nb'", 1, "a\\x1b[31m b: no such file"),
    ],
)
def test_what_went_wrong_is_one_clean_line(
    tmp_path: Path, line: str, status: int, err: str
) -> None:
    done = _shell(f"sonar-llm {line}", tmp_path)
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.decode() == (f"sonar-llm: {err}\n" if err else "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full here")
def test_what_nobody_hears_changes_no_status(tmp_path: Path) -> None:
    assert _shell("sonar-llm encode nowhere 2>/dev/full", tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("environment", "encoding", "loses"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "ascii", True),
        ({"PYTHONIOENCODING": "latin-1"}, "latin-1", True),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "ascii", True),
        ({"LC_ALL": "C", "PYTHONUTF8": "1"}, "utf-8", False),
        ({"PYTHONIOENCODING": "utf-8"}, "utf-8", False),
    ],
)
def test_what_cannot_be_written_is_replaced(
    tmp_path: Path, environment: dict[str, str], encoding: str, loses: bool
) -> None:
    (tmp_path / "write.py").write_text(WRITE, encoding="utf-8")
    done = _shell(f"{sys.executable} write.py", tmp_path, **environment)
    assert (done.returncode, done.stderr.decode()) == (0, f"{loses}\n")
    text, name, record = done.stdout.split(b"\n")[:3]
    assert text == "Zoë met 日本".encode(encoding, "replace") and name == b"caf\xe9"
    assert json.loads(record.decode(encoding)) == {"Zoë": "日😀\\xe9"}


def test_that_characters_were_replaced_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("Zoë ran. Zoë sat. Zoë hummed.\n", encoding="utf-8")
    line = "sonar-llm continue story.txt story.txt -n 1 -q --echo"
    done = _shell(line, tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and done.stdout.count(b"Zo? ran. Zo? sat.") == 2
    assert done.stderr.decode() == (
        "sonar-llm: what ascii has no code for was written as ?; set PYTHONIOENCODING=utf-8\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_keeps_what_was_written(story: Path, number: signal.Signals) -> None:
    out = story.with_name("out.txt")
    out.write_text("old\n")
    command = [*SONAR_LLM.split(), "continue", str(story), "-o", str(out), "-n", "100000"]
    process = subprocess.Popen(
        [*command, "--stop-threshold", "2"],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Who runs the tests may ignore it, as nohup does, and children inherit that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        each.stat().st_size for each in story.parent.glob("*.partial")
    ):
        time.sleep(0.05)
    assert out.read_text() == "old\n"
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, err.decode()) == (-number, f"sonar-llm: ended by {number.name}\n")
    assert out.read_text().endswith("\n") and out.read_text() != "old\n"
    assert sorted(each.name for each in story.parent.iterdir()) == ["out.txt", "story.txt"]


def test_a_name_that_is_no_utf8_is_read_and_named(call, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    try:
        Path(name).write_text(STORY)
    except OSError:
        pytest.skip("names are UTF-8 on this disk")
    for command in (["continue", "-n", "1"], ["summarize", "--no-cache"], ["encode"]):
        status, out, err = call(*command, name, "--format", "jsonl")
        assert (status, err) == (0, "")
        assert json.loads(out)["file"] == f"{tmp_path}/caf\\xe9.txt"


def test_half_a_character_in_json_lines(call, tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"text": "One day \\ud800 Lily found a kite."}\n')
    for command in (["continue", "-n", "1"], ["summarize", "--no-cache"], ["encode"]):
        status, out, _ = call(*command, str(file), "--format", "jsonl")
        assert status == 0 and json.loads(out)["file"] == f"{file}:1"
        out.encode()


@pytest.mark.parametrize("content", ["\n\n", "\n\n---\n"])
def test_a_file_stays_where_all_inputs_fail(call, tmp_path: Path, content: str) -> None:
    out, nothing = tmp_path / "out.txt", tmp_path / "nothing.md"
    out.write_text("old\n")
    nothing.write_text(content)
    for command in ("summarize", "decode"):
        status, _, err = call(command, str(nothing), "-o", str(out))
        assert status == 1 and err.count("\n") == 1
    for command in ("continue", "summarize", "encode", "decode"):
        assert call(command, str(tmp_path / "nowhere"), "-o", str(out))[0] == 1
    assert out.read_text() == "old\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["nothing.md", "out.txt"]


@pytest.mark.parametrize("command", ["continue", "summarize", "encode"])
def test_an_input_is_not_overwritten(call, story: Path, command: str) -> None:
    status, out, err = call(command, str(story), "-o", str(story))
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert "one of the files that are read" in err and story.read_text() == STORY

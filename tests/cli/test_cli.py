"""The command line's contract, with `mini`, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sonar_cli import __version__

STORY = "One day Lily found a kite.\n"


def _environment(**extra: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SONAR_LLM_")}
    own = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "SONAR_LLM_CONFIG_FILE": ""}
    return {**kept, **own, **extra}


def _process(
    *arguments: str, stdin: str | bytes | None = STORY, **environment: str
) -> subprocess.CompletedProcess[str]:
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [sys.executable, "-m", "sonar_cli", *arguments],
        input=data if data is not None else None,
        stdin=subprocess.DEVNULL if data is None else None,
        capture_output=True,
        env=_environment(**environment),
        timeout=120,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.txt"
    file.write_text(STORY)
    return file


def test_continue_in_a_pipe_is_lines_and_nothing_else() -> None:
    done = _process("continue", "-", "-n", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert 1 <= len(done.stdout.splitlines()) <= 3
    assert "kite" in done.stdout or "Lily" in done.stdout


def test_json_lines_follow_the_contract(call, story: Path) -> None:
    status, out, _ = call("continue", str(story), "-n", "3", "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    fields = ["file", "index", "text", "similarity_to_end", "fidelity", "seconds", "stop_reason"]
    assert all(list(record) == fields for record in records)
    assert [record["index"] for record in records] == list(range(len(records)))
    assert {record["file"] for record in records} == {str(story)}
    assert [record["stop_reason"] for record in records[:-1]] == [None] * (len(records) - 1)
    assert records[-1]["stop_reason"] in ("end", "length")


def test_a_text_that_ends_at_once_is_one_object(call, story: Path) -> None:
    status, out, _ = call("continue", str(story), "--stop-threshold", "-1", "--format", "jsonl")
    (record,) = map(json.loads, out.splitlines())
    assert (status, record["index"], record["text"]) == (0, None, None)
    assert record["stop_reason"] == "end"


def test_echo_and_several_files(call, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("One day Lily found a kite.\n\nLily was glad.")
    arguments = ["continue", *(str(tmp_path / name) for name in "ab"), "-n", "1", "--echo"]
    status, out, _ = call(*arguments)
    assert status == 0
    first, second = out.split("\n\nOne day", 1)
    assert first.startswith("One day Lily found a kite.\n\nLily was glad.\n")
    assert second.startswith(" Lily found a kite.")


def test_many_texts_are_as_alone_and_in_order(call, tmp_path: Path) -> None:
    stories = ["One day Lily found a kite.", "Tom had a boat.", "Near the pier lived Iris."]
    lines = tmp_path / "stories.jsonl"
    lines.write_text("\n\n".join(json.dumps({"text": text}) for text in stories) + "\n")
    alone = []
    for number, text in enumerate(stories):
        (tmp_path / f"{number}.txt").write_text(text)
        status, out, _ = call("continue", str(tmp_path / f"{number}.txt"), "-n", "6")
        assert status == 0
        alone.append(out)
    files = [str(tmp_path / f"{number}.txt") for number in range(3)]
    for given in ([str(lines)], files):
        for size in ("1", "2", "auto"):
            arguments = ["continue", *given, "-n", "6", "--batch-size", size]
            status, out, err = call(*arguments)
            assert (status, out, err) == (0, "\n".join(alone), "")
    status, out, _ = call("continue", str(lines), "-n", "2", "--format", "jsonl")
    assert status == 0
    order = list(dict.fromkeys(json.loads(line)["file"] for line in out.splitlines()))
    assert order == [f"{lines}:{number}" for number in (1, 3, 5)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is no JSON object"),
        ('["a"]', "line 2 is no JSON object"),
        ('{"story": "a"}', "line 2 is no JSON object"),
        ('{"text": 3}', "line 2 is no JSON object"),
        ("[" * 100_000, "line 2 is no JSON object"),
        ('{"text": " "}', "text of line 2 is empty"),
    ],
)
def test_a_bad_line_of_json_is_named(call, tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "stories.jsonl"
    file.write_text('{"text": "One day Lily found a kite."}\n' + line + "\n")
    status, out, err = call("continue", str(file))
    assert (status, out) == (1, "")
    assert words in err and err.count("\n") == 1


def test_input_format_and_batch_size_are_checked(call, monkeypatch) -> None:
    done = _process(
        "continue", "-n", "1", "--input-format", "jsonl", stdin='{"text": "Tom had a boat."}'
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    for wrong in ("0", "many"):
        status, _, err = call("continue", "x", "--batch-size", wrong)
        assert status == 2 and "--batch-size" in err


def test_a_bad_file_does_not_stop_the_others(call, tmp_path: Path, story: Path) -> None:
    output = tmp_path / "out.txt"
    arguments = ["continue", str(tmp_path / "nowhere"), str(story), "-n", "1", "-o", str(output)]
    status, out, err = call(*arguments)
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert "no such file" in err
    assert len(output.read_text().splitlines()) == 1


def test_a_text_without_a_sentence_does_not_stop_the_others(
    call, tmp_path: Path, story: Path
) -> None:
    rule = tmp_path / "rule.md"
    rule.write_text("---\n")
    status, out, err = call("continue", str(rule), str(story), str(rule), "-n", "1")
    assert (status, len(out.splitlines())) == (1, 1)
    assert err.count("\n") == 2 and "no sentence" in err


def test_deterministic_and_seeded(call, story: Path) -> None:
    def write(*arguments: str) -> str:
        status, out, _ = call("continue", str(story), "-n", "3", *arguments)
        assert status == 0
        return out

    assert write() == write()
    noisy = ("--temperature", "4", "--candidates", "3", "--top-p", "0.9")
    assert write(*noisy, "--seed", "1") == write(*noisy, "--seed", "1")
    assert len({write(*noisy, "--seed", str(seed)) for seed in range(5)}) > 1


def test_encode_then_decode_gives_back_the_sentences(call, tmp_path: Path) -> None:
    text = tmp_path / "s.txt"
    sentences = [
        "One day Lily found a kite.",
        "Lily wanted to fly the kite above the roofs at the meadow.",
    ]
    text.write_text("\n".join(sentences))
    vectors = tmp_path / "v.npy"
    assert call("encode", str(text), "-o", str(vectors))[0] == 0
    array = np.load(vectors)
    assert array.dtype == np.float32
    assert array.shape == (2, 256)
    status, out, _ = call("decode", str(vectors))
    assert (status, out.splitlines()) == (0, sentences)
    status, out, _ = call("encode", str(text), "--format", "jsonl")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["text"] for record in records] == sentences
    np.testing.assert_allclose([record["vector"] for record in records], array, atol=1e-6)


def test_encode_to_a_pipe_is_npy() -> None:
    encode = f"{sys.executable} -m sonar_cli encode - | {sys.executable} -m sonar_cli decode -"
    done = subprocess.run(
        ["bash", "-c", encode],
        input=STORY,
        capture_output=True,
        text=True,
        env=_environment(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, STORY, "")


def test_split_lines(call, tmp_path: Path) -> None:
    text = tmp_path / "s.txt"
    text.write_text("One. Two.\nThree.\n")
    status, out, _ = call("encode", str(text), "--split", "lines", "--format", "jsonl")
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["One. Two.", "Three."]
    assert status == 0


def test_the_notice_of_mini(call, tmp_path: Path, story: Path) -> None:
    far = tmp_path / "far.txt"
    far.write_text("Quarterly revenue exceeded analysts' expectations in Düsseldorf 日本 😀.")
    status, out, err = call("continue", str(far), str(far), "-n", "1")
    assert status == 0
    assert len(err.splitlines()) == 1
    assert "mini knows the English of simple stories" in err
    assert "900m" in err
    assert "mini knows" not in out
    assert call("continue", str(far), "-n", "1", "-q")[2] == ""
    assert call("continue", str(story), "-n", "1")[2] == ""


def test_the_environment_sets_options(call, monkeypatch, story: Path) -> None:
    monkeypatch.setenv("SONAR_LLM_SENTENCES", "1")
    monkeypatch.setenv("SONAR_LLM_FORMAT", "jsonl")
    _, out, _ = call("continue", str(story))
    assert len(out.splitlines()) == 1
    assert json.loads(out)["index"] == 0
    _, out, _ = call("continue", str(story), "--format", "text")
    assert not out.startswith("{")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int8"])
def test_other_dtypes_write_text(call, story: Path, dtype: str) -> None:
    status, out, _ = call("continue", str(story), "-n", "2", "--dtype", dtype)
    assert status == 0
    assert len(out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["continue", "nowhere.txt"], 1, "no such file"),
        (["continue", "."], 1, "is a directory"),
        (["continue", "-m", "90m", "STORY"], 2, "near: 900m"),
        (["continue", "--source-lang", "eng", "STORY"], 2, "near: eng_Latn"),
        (["continue", "--target-lang", "deu_Latn", "STORY"], 2, "eng_Latn"),
        (["continue", "--device", "cuda:77", "STORY"], 2, "--device cpu"),
        (["continue", "--device", "tpu", "STORY"], 2, "auto, cpu, cuda[:N] or mps"),
        (["continue", "--dtype", "float64", "STORY"], 2, "--help"),
        (["continue", "-n", "0", "STORY"], 2, "--help"),
        (["continue", "--candidates", "2", "--temperature", "0", "STORY"], 2, "--temperature"),
        (["continue", "-m", "STORY", "STORY"], 2, "--config"),
        (["continue", "-m", "100m", "--offline", "STORY"], 1, "not in the cache"),
        (["continue", "--encoder", "nowhere", "STORY"], 2, "--encoder nowhere"),
        (["continue", "--no-such-option"], 2, "--help"),
        (["decode", "STORY"], 1, "no JSON object"),
        (["translate"], 2, "No such command"),
        (["models", "path", "90m"], 2, "near: 900m"),
    ],
)
def test_bad_usage_is_one_line(
    call, story: Path, arguments: list[str], status: int, words: str
) -> None:
    words_given = [str(story) if each == "STORY" else each for each in arguments]
    found, out, err = call(*words_given)
    assert (found, out) == (status, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err


def test_a_model_of_another_width(call, tmp_path: Path, story: Path, predictor) -> None:
    from sonar_cli.hub.catalogue import EMBEDDED
    from sonar_cli.model.formats.predictor import save_predictor

    save_predictor(predictor, tmp_path / "p")
    parts = [f"--{part}={EMBEDDED / part}" for part in ("encoder", "decoder", "tokenizer")]
    status, _, err = call("continue", "-m", str(tmp_path / "p"), *parts, str(story))
    assert status == 1
    assert "64 numbers, the codec has 256" in err


def test_vectors_of_another_width(call, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.zeros((2, 3), np.float32))
    status, _, err = call("decode", str(tmp_path / "v.npy"))
    assert status == 1
    assert "vectors of 3 numbers, the model takes 256" in err


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" not in _process("continue", "-", "-m", "90m").stderr
    assert "Traceback" in _process("continue", "-", "-m", "90m", SONAR_LLM_DEBUG="1").stderr


def test_version_and_no_arguments() -> None:
    assert _process("--version").stdout == f"sonar-llm, version {__version__}\n"
    nothing = _process()
    assert nothing.returncode == 2
    assert nothing.stderr.startswith("Usage:")


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    line = f"{sys.executable} -m sonar_cli continue - -n 8 | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], input=STORY, capture_output=True, text=True, env=_environment()
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 2
    assert done.stdout.splitlines()[-1] == "0"


def test_an_interruption_keeps_what_was_written(tmp_path: Path, story: Path) -> None:
    output = tmp_path / "out.txt"
    command = [sys.executable, "-m", "sonar_cli", "continue", str(story), "-o", str(output)]
    endless = ["-n", "100000", "--stop-threshold", "2"]
    process = subprocess.Popen(
        [*command, *endless],
        stderr=subprocess.PIPE,
        env=_environment(),
        # Who runs the tests in the background may have them ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        each.stat().st_size for each in tmp_path.glob("out.txt.*.partial")
    ):
        time.sleep(0.05)
    assert not output.exists()
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err == b"sonar-llm: interrupted\n"
    assert output.read_text().endswith("\n")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.txt", "story.txt"]


def test_on_a_terminal_the_prompt_is_dimmed(story: Path) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "sonar_cli", "continue", str(story), "-n", "1"]
    environment = _environment(TERM="xterm-256color", COLUMNS="80")
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdout=child, stderr=child, env=environment) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                chunk = os.read(parent, 4096)
            except OSError:  # the terminal's other end is closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(parent)
    assert process.returncode == 0
    dimmed = b"".join(part for part in shown.split(b"\x1b[0m") if b"\x1b[2m" in part)
    assert b"kite." in dimmed
    plain = shown.replace(dimmed, b"")
    assert len(plain.strip()) > 10


def test_a_terminal_gets_no_vectors(story: Path) -> None:
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "sonar_cli", "encode", str(story)]
    with subprocess.Popen(
        command, stdout=child, stderr=subprocess.PIPE, env=_environment()
    ) as process:
        _, err = process.communicate(timeout=60)
    os.close(child)
    os.close(parent)
    assert process.returncode == 2
    assert b"give -o FILE" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["continue", "-", "-n", "1"], ["encode"], ["models", "list"]])
def test_a_full_disk_is_named(command: list[str], unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sonar_cli", *command],
            input=STORY.encode(), stdout=full, stderr=subprocess.PIPE,
            env=_environment(PYTHONUNBUFFERED=unbuffered),
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == b"sonar-llm: standard output: No space left on device\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no disk that is always full here")
def test_a_full_disk_under_a_file_is_named(call, story: Path) -> None:
    status, out, err = call("continue", str(story), "-n", "1", "-o", "/dev/full")
    assert (status, out, err) == (1, "", "sonar-llm: /dev/full: No space left on device\n")


def test_one_sentence_is_not_called_several(call, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("One day Lily found a kite" + " and a kite" * 600 + ".")
    _, _, err = call("encode", str(file), "--split", "lines", "--format", "jsonl")
    assert err == "sonar-llm: cut 1 sentence longer than the encoder reads\n"

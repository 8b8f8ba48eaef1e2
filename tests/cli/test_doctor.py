"""`sonar-llm doctor` as a command: its formats, its exit status, and that it never fails itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sonar_cli.cli.settings import VARIABLE


@pytest.fixture(autouse=True)
def _own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of ours but what a test sets."""
    for name in os.environ:
        if name.startswith("SONAR_LLM_") and name != VARIABLE:
            monkeypatch.delenv(name)


def _by_name(out: str) -> dict[str, dict[str, object]]:
    return {each["name"]: each for each in json.loads(out)["checks"]}


def test_all_of_it_works_without_a_network(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, asked)
    monkeypatch.setattr(socket, "getaddrinfo", asked)
    status, out, err = call("doctor")
    assert (status, err) == (0, "")
    assert out.endswith("\nAll that is needed works.\n")
    sections = [line for line in out.splitlines() if line and line[0] != " "]
    assert sections[:3] == ["Installation", "Machine", "Caches"]
    lines = [line for line in out.splitlines() if line.startswith("  ") and "->" not in line]
    assert all(any(f"  {state} " in line for state in ("good", "missing", "unused"))
               for line in lines)  # fmt: skip
    assert '"One day Lily found a kite." comes back' in out


def test_in_json(call) -> None:
    status, out, err = call("doctor", "--format", "json")
    assert (status, err, json.loads(out)["works"]) == (0, "", True)
    found = _by_name(out)
    assert found["torch"]["values"].keys() == {"version", "build"}
    assert found["configuration"]["state"] == "missing"
    lines = call("doctor", "--format", "jsonl")[1].splitlines()
    assert [json.loads(line)["name"] for line in lines] == list(found)


def test_the_files_and_the_variables_faults(call, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text("modle = 1")
    monkeypatch.setenv(VARIABLE, str(file))
    monkeypatch.setenv("SONAR_LLM_MODLE", "x")
    monkeypatch.setenv("SONAR_LLM_BEAM_SIZE", "many")
    monkeypatch.setenv("SONAR_LLM_TOP_P", "0.5")
    status, out, err = call("doctor", "--format", "json")
    assert (status, err.count("\n"), json.loads(out)["works"]) == (1, 1, False)
    assert err.startswith("sonar-llm: 2 faults")
    found = _by_name(out)
    assert "did you mean 'model'?" in str(found["configuration"]["found"])
    assert found["SONAR_LLM_MODLE"]["state"] == "unused"
    assert "SONAR_LLM_MODEL" in str(found["SONAR_LLM_MODLE"]["found"])
    assert found["SONAR_LLM_BEAM_SIZE"]["state"] == "wrong"
    assert found["SONAR_LLM_TOP_P"]["found"] == "0.5"
    assert all(each["remedy"] for each in found.values() if each["state"] == "wrong")


def test_the_cache_that_the_file_names_is_looked_at(call, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "there" / "vectors"
    (tmp_path / "config.toml").write_text(f"[summarize]\ncache-dir = '{folder}'")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "config.toml"))
    found = _by_name(call("doctor", "--format", "json")[1])
    assert found["vectors"]["values"]["place"] == str(folder)
    folder.parent.write_text("no folder")
    status, out, err = call("doctor")
    assert (status, err.startswith("sonar-llm: 1 fault;")) == (1, True)
    assert "vectors       wrong" in out and "-> make it writable" in out


def test_a_broken_torch_is_one_fault(tmp_path: Path) -> None:
    """A torch that cannot be imported, before all others on the path, and everything else told."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libc10.so: no such file')")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "sonar_cli", "doctor", "--format", "json"],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("sonar-llm: 1 fault;")
    found = _by_name(done.stdout)
    assert "ImportError: libc10.so: no such file" in str(found["torch"]["found"])
    assert [name for name, each in found.items() if each["state"] == "wrong"] == ["torch"]
    assert found["mini"]["state"] == found["GPUs"]["state"] == "missing"
    assert found["vectors"]["state"] == "good" and found["Python"]["state"] == "good"

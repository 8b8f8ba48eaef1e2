"""Two workers of a Ray on this machine, one of which is killed: the same bytes as without Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sonar_cli.bulk.job import Job, RayOptions
from sonar_cli.bulk.tasks import Encode
from sonar_cli.errors import UsageError
from tests.bulk.texts import RECORDS, files, json_lines

pytest.importorskip("ray", reason="Ray is not installed: pip install 'sonar-llm[ray]'")

from sonar_cli.bulk.on_ray import _share


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sonar_cli", "bulk", *arguments]


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SONAR_LLM_", "RAY_"))}
    # Ray's workers give way to all else on a machine, which may be much.
    return {**kept, "RAY_worker_niceness": "0"}


def _workers(of: int) -> list[int]:
    """Return the processes below a process that are Ray's workers and have a model."""
    parents: dict[int, tuple[int, str]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            parents[int(place.name)] = (parent, (place / "cmdline").read_text())
        except (OSError, ValueError):
            continue  # it has ended meanwhile

    def below(process: int) -> bool:
        while process in parents:
            process = parents[process][0]
            if process == of:
                return True
        return False

    named = [each for each, (_, line) in parents.items() if "MapBatches(Worker)" in line]
    return [each for each in named if below(each)]


@pytest.mark.timeout(600)
def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    # Some forty shards: enough that some are left when the first is there.
    file = json_lines(tmp_path / "a.jsonl", [*RECORDS, "{", *RECORDS * 5])
    asked = ["continue", str(file), "-n", "3", "--shard-size", "1", "--device", "cpu", "-q"]
    alone = subprocess.run(
        _command(*asked, "-o", str(tmp_path / "alone")), capture_output=True, env=_environment()
    )
    assert alone.returncode == 1
    out = tmp_path / "ray"
    process = subprocess.Popen(
        _command(*asked, "-o", str(out), "--ray", "--workers", "2"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(),
    )  # fmt: skip
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline and not list((out / "_finished").glob("*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    killed = _workers(process.pid)
    assert len(killed) == 2
    os.kill(killed[0], signal.SIGKILL)
    left = len(files(tmp_path / "alone")) - len(files(out))
    stdout, stderr = process.communicate(timeout=400)
    assert left > 4, "the run was over before a worker was killed"
    assert (process.returncode, stdout, stderr) == (1, b"", alone.stderr)
    assert files(out) == files(tmp_path / "alone")


def test_what_a_worker_cannot_be_asked_for_is_one_line(tmp_path: Path) -> None:
    file = json_lines(tmp_path / "a.jsonl", RECORDS[:1])
    done = subprocess.run(
        _command(
            "encode", str(file), "-o", str(tmp_path / "out"), "--source-lang", "eng", "--ray",
            "--workers", "1",
        ),
        capture_output=True, text=True, env=_environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "near: eng_Latn" in done.stderr and done.stderr.count("\n") == 1


def test_more_workers_than_cores_are_refused() -> None:
    job = Job(Encode(), ("a.jsonl",), Path("out"))
    with pytest.raises(UsageError, match="3 workers need 3 cores, and Ray has 2 and 0"):
        _share(job, RayOptions(3), {"CPU": 2}, 1)

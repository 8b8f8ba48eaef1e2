"""Every command line in README and docs is run, and the help in the docs is the program's."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sonar_cli.cli import cli
from sonar_cli.mini import world
from sonar_cli.sentences import split

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it along there

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# Lines that cannot run as they stand, and what a test makes of them.
SET_UP = ("python3 -m venv", "pip install")
TOOLS = ("python -m pytest", "ruff check", "mypy")
ELSEWHERE = ("-m 900m", "models pull", "checkpoint.pt", "--codec sonar-space", "train --recipe")


def _lines(pages: list[Path]) -> list[str]:
    blocks = [
        block for page in pages for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
    ]
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines() if line))


LINES = _lines(PAGES)
RUN = [line for line in LINES if not any(part in line for part in SET_UP + TOOLS + ELSEWHERE)]
PARSED = [line for line in LINES if any(part in line for part in ELSEWHERE)]


def _environment() -> dict[str, str]:
    # Nothing here may reach a network or a terminal's settings.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2"}


def _shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=250,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def test_there_are_lines_of_every_kind() -> None:
    assert len(RUN) >= 8
    assert len(PARSED) >= 5


@pytest.mark.parametrize("line", RUN)
def test_a_line_runs(line: str, checkout: Path) -> None:
    # Three hundred stories are the documented measure; two show that the line works.
    done = _shell(line.replace("evaluate mini", "evaluate mini --stories 2"), checkout)
    assert done.returncode == 0, done.stderr
    assert done.stdout or "-o" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("line", PARSED)
def test_a_line_that_needs_more_is_understood(line: str, checkout: Path) -> None:
    words = shlex.split(line)
    assert words[0] == "sonar-llm"
    command, arguments = cli, words[1:]
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(words[1], arguments)  # raises where an option is unknown
    if "train" not in words:
        done = _shell(line, checkout)
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("sonar-llm: ")


def test_set_up_lines_name_what_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "pip install '.[dev]'" in LINES
    assert "dev" in project["optional-dependencies"]
    assert "sonar-llm" in project["scripts"]
    for line in (line for line in LINES if line.startswith(TOOLS)):
        tool = line.split("-m ")[-1] if "-m " in line else line.split()[0]
        assert importlib.util.find_spec(tool), line


def test_ci_runs_the_documented_tests() -> None:
    assert "python -m pytest\n" in (ROOT / ".ci" / "run").read_text()
    assert "python -m pytest\n" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", ["", "continue", "encode", "decode", "train", "evaluate"])
def test_help_in_the_docs_is_the_programs(command: str) -> None:
    words = " ".join(filter(None, ["sonar-llm", command, "--help"]))
    page = (ROOT / "docs" / "command-line.md").read_text()
    shown = page.split(f"    $ {words}\n", 1)[1]
    shown = shown.split("    $ ", 1)[0]
    done = _shell(f"COLUMNS=80 {words}", ROOT)
    assert [line[4:] for line in shown.rstrip().splitlines()] == done.stdout.rstrip().splitlines()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "development.md").read_text()
    for dependency in project["dependencies"]:
        name = re.match(r"[\w-]+", dependency)[0]
        assert f"| {name} |" in page


def test_the_example_is_a_story_of_the_world() -> None:
    text = (ROOT / "docs" / "examples" / "story.txt").read_text()
    assert all(world.accepts(each.text) for each in split(text))


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"

"""`evaluate paper`: what it refuses, and its smallest comparison with all parts."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from sonar_cli.cli import comparisons, run
from sonar_cli.evaluation.paper.terms import SHIPPED, SYSTEMS


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("terms", "words", "told"),
    [
        ("", "--terms nope", "nope: no such terms; there are full, small, tiny"),
        ("", "--terms tiny --small", "give one of them"),
        ("", "--terms tiny --test DIR", "--test goes with --texts"),
        ("", "--terms tiny --seeds 0,0", "seeds is a list of different numbers"),
        ("", "--terms tiny --seeds x", "Invalid value for '--seeds'"),
        ("", "--terms tiny --seeds -1", "Invalid value for '--seeds'"),
        ("", "--terms tiny --codec-from nope", "unknown model 'nope'"),
        ("", "--terms tiny --texts DIR/nothing", "no file there"),
        ("size = [1]", "--terms FILE", "unknown key 'size'; did you mean 'sizes'?"),
        ("[data]\nstory = 1", "--terms FILE", "unknown key 'data.story'; did you mean"),
        ("steps = true", "--terms FILE", "steps is a whole number, not true"),
        ("steps = 0", "--terms FILE", "steps is at least 1, not 0"),
        ("steps =", "--terms FILE", "is not TOML"),
    ],
)
def test_what_nothing_can_be_compared_on(
    call, runs: Path, tmp_path: Path, terms: str, words: str, told: str
) -> None:
    file = tmp_path / "terms.toml"
    file.write_text(terms)
    given = words.replace("FILE", str(file)).replace("DIR", str(tmp_path)).split()
    status, out, err = call("evaluate", "paper", "--runs", str(runs), *given)
    assert (status, out) == (2, "")
    assert told in err and err.count("\n") == 1
    assert not runs.exists()


@dataclass(frozen=True)
class Made:
    """What the smallest comparison left: its folder, its JSON, what it said on stderr."""

    runs: Path
    json: Path
    told: str


def _compare(runs: Path, *words: str) -> tuple[str, str]:
    """Compare; return what went to stdout and to stderr."""
    out, err = io.StringIO(), io.StringIO()
    given = ["evaluate", "paper", "--runs", str(runs), "--threads", "1", "--device", "cpu", *words]
    with redirect_stdout(out), redirect_stderr(err):
        assert run(given) == 0
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("paper")
    file = folder / "results.json"
    words = ("--terms", "tiny", "--format", "json", "-o", str(file))
    out, err = _compare(folder / "runs", *words)
    assert out == ""
    return Made(folder / "runs", file, err)


def test_every_part_is_in_the_json(made: Made) -> None:
    found = json.loads(made.json.read_text())
    assert found["terms"]["needle"]["contexts"] == [4, 8] and "threads" in found["machine"]
    counts = {
        "rates": 12, "runs": 12, "timed_runs": 4, "quality_runs": 4, "summary_runs": 4,
        "nearness_runs": 3, "tolerance": 7, "needle_runs": 24,
        "fits": 4, "costs": 16, "crossovers": 12,
    }  # fmt: skip
    assert {name: len(found[name]) for name in counts} == counts
    # Every run that is measured is in a folder of its name, and equally large within 5 %.
    for each in [*found["runs"], *found["timed_runs"], *found["needle_runs"]]:
        assert (made.runs / "runs" / each["run"] / "model").is_dir()
        assert each["parameters"] == pytest.approx(each["size"], rel=0.05)
    needles = {each["run"] for each in found["needle_runs"]}
    assert not needles & {each["run"] for each in found["runs"]}
    for system in SYSTEMS:
        (mean,) = {
            line[system]["mean"] for line in found["steps"]
            if line["measure"] == "nats a token" and line["size"] == 600_000
        }  # fmt: skip
        (own,) = (
            each["nats"] for each in found["runs"]
            if each["system"] == system and each["size"] == 600_000
        )  # fmt: skip
        assert mean == own > 0


def test_a_second_time_nothing_is_trained_or_measured(made: Made, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    words = ("--terms", "tiny", "--format", "json", "-o", str(again))
    assert made.told.count("training ") >= 16 and "measuring needle" in made.told
    assert _compare(made.runs, *words) == ("", "")
    assert json.loads(again.read_text()) == json.loads(made.json.read_text())
    tables, told = _compare(made.runs, "--terms", "tiny")
    assert told == ""
    for head in ("| system | learning rate |", "| nats a token | 600,000 |", "| system | a |",
                 "| ROUGE-L of summaries |", "| needle found", "| random | llm | 8 |",
                 "| trained | seconds | both |"):  # fmt: skip
        assert head in tables


def test_another_seed_trains_its_own_runs_alone(made: Made, tmp_path: Path) -> None:
    """Without needle and costs, so that it takes less."""
    file = tmp_path / "terms.toml"
    text = (SHIPPED / "tiny.toml").read_text()
    file.write_text(re.sub(r"contexts = \[.*\]", "contexts = []", text))
    out, told = _compare(made.runs, "--terms", str(file), "--seeds", "0,1", "--format", "json")
    trained = [line for line in told.splitlines() if "training " in line]
    assert 12 <= len(trained) <= 16 and all("seed 1," in line for line in trained)
    assert len(json.loads(out)["runs"]) == 24


def test_plots_and_tables_are_made_of_the_json_alone(made: Made, call, tmp_path: Path) -> None:
    names = ["scaling.svg", "quality.svg", "needle.svg", "cost.svg", "tables.md"]
    drawn = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        status, out, err = call("evaluate", "paper", "--draw", str(made.json), "-o", str(folder))
        assert (status, err) == (0, "")
        assert out.splitlines() == [str(folder / name) for name in names]
        drawn.append([(folder / name).read_bytes() for name in names])
    assert drawn[0] == drawn[1]
    tables = drawn[0].pop().decode()
    assert tables == _compare(made.runs, "--terms", "tiny")[0]
    assert all(b"<svg" in each and len(each) < 300_000 for each in drawn[0])
    whole = [each.decode() for each in drawn[0]]
    for system in SYSTEMS:
        assert all(system in each for each in whole)
    assert "4,096 tokens" in whole[3]


def test_of_own_texts_there_is_no_needle(tmp_path: Path) -> None:
    asked = comparisons.asked("tiny", "books", "more", "runs/codec", (3,))
    assert (asked.data.path, asked.test, asked.codec, asked.seeds) == (
        *("books", "more", "runs/codec"),
        (3,),
    )
    assert not asked.data.summaries and asked.needle.contexts == ()

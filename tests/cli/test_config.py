"""The configuration file: what it sets, what wins over it, its faults, and `sonar-llm config`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from sonar_cli.cli import cli
from sonar_cli.cli.settings import VARIABLE, options

STORY = "One day Lily found a kite.\n"
TALE = "Tom ran. Tom sat. Tom ate. Tom sang. Tom slept."


@pytest.fixture
def set_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what writes a configuration file, which is then read."""

    def written(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text, encoding="utf-8")
        monkeypatch.setenv(VARIABLE, str(file))
        return file

    return written


@pytest.fixture
def story(tmp_path: Path) -> str:
    (tmp_path / "story.txt").write_text(STORY)
    return str(tmp_path / "story.txt")


@pytest.fixture
def tale(tmp_path: Path) -> str:
    (tmp_path / "tale.txt").write_text(TALE)
    return str(tmp_path / "tale.txt")


def test_defaults_then_the_file_then_the_environment_then_flags(
    call, set_in, story: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = ("continue", story, "--stop-threshold", "2")
    assert len(call(*never)[1].splitlines()) == 32
    set_in("[continue]\nsentences = 3")
    assert len(call(*never)[1].splitlines()) == 3
    monkeypatch.setenv("SONAR_LLM_SENTENCES", "2")
    assert len(call(*never)[1].splitlines()) == 2
    assert len(call(*never, "-n", "1")[1].splitlines()) == 1


def test_a_key_at_the_top_is_for_all_commands_and_a_table_for_one(call, set_in, tale: str) -> None:
    how = ("summarize", tale, "--method", "extractive", "--no-cache")
    set_in("sentences = 3")
    assert len(call(*how)[1].splitlines()) == 3
    assert len(call("continue", tale, "--stop-threshold", "2")[1].splitlines()) == 3
    set_in("sentences = 3\n[summarize]\nsentences = 2")
    assert len(call(*how)[1].splitlines()) == 2


def test_a_file_as_its_users_write_it(call, set_in, story: str) -> None:
    set_in(
        "\ufeff# a comment, behind the mark that some editors put in front\n"
        'model = "mini"\nquiet = true\nbatch-size = 2\nthreads = 1\n'
        '[continue]\nreencode = false\ntoken-temperature = 0\nsentences = 1\nformat = "jsonl"\n'
        'target-lang = ["eng_Latn", "eng_Latn"]\n'
        "[models.verify]\nrun = true\n"
        '[evaluate]\nstories = 2\ntexts = "nowhere"\n[cache.info]\nformat = "jsonl"\n'
    )
    status, out, err = call("continue", story)
    assert (status, err) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["lang"] for each in found] == ["eng_Latn", "eng_Latn"]
    assert found[0]["fidelity"] is None
    assert call("continue", story, "--reencode")[1] != out
    assert json.loads(call("cache", "info")[1])["vectors"] == 0


@pytest.mark.parametrize(("written", "lines"), [("0.5", 1), ("'40%'", 2)])
def test_a_length_is_written_as_on_the_command_line(
    call, set_in, tale: str, written: str, lines: int
) -> None:
    set_in(f"[summarize]\nlength = {written}\nmethod = 'extractive'\ncache = false")
    status, out, err = call("summarize", tale)
    assert (status == 0) is (written == "'40%'")
    assert len((out or err).splitlines()) == lines


def test_of_opposites_the_stronger_source_wins(call, set_in, tale: str, monkeypatch) -> None:
    how = ("summarize", tale, "--method", "extractive", "--no-cache")
    set_in("sentences = 4\n[summarize]\nlength = '40%'")
    assert len(call(*how)[1].splitlines()) == 2
    assert len(call(*how, "-n", "3")[1].splitlines()) == 3
    monkeypatch.setenv("SONAR_LLM_SENTENCES", "1")
    assert len(call(*how)[1].splitlines()) == 1
    shown = json.loads(call("config", "show", "summarize", "--format", "json")[1])["summarize"]
    assert (shown["sentences"]["value"], shown["length"]["value"]) == (1, None)
    monkeypatch.delenv("SONAR_LLM_SENTENCES")
    set_in("[summarize]\nsentences = 4\nlength = '40%'")
    status, out, err = call(*how)
    assert (status, out) == (2, "") and "-n and --length" in err
    set_in("[evaluate.paper]\nterms = 'nowhere.toml'")
    assert "nowhere.toml" in call("evaluate", "paper")[2]
    assert "nowhere.toml" not in call("evaluate", "paper", "--small", "--texts", tale + "x")[2]


def test_home_is_expanded(call, set_in, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    set_in("[cache.info]\ncache-dir = '~/vectors'")
    assert call("cache", "info")[1].startswith(str(tmp_path / "vectors"))


FAULTS = {
    'modle = "mini"': "unknown key 'modle'; did you mean 'model'?",
    "[continu]": "unknown table [continu]; did you mean 'continue'?",
    "[evaluate.codecs]": "unknown table [evaluate.codecs]; did you mean 'codec'?",
    "[x-y-z]": "unknown table [x-y-z]; tables are the names of commands",
    "[continue]\ntoken_temperature = 1": "unknown key 'token_temperature' in [continue]; "
    "did you mean 'token-temperature'?",
    "[continue]\nno-begin = true": "unknown key 'no-begin' in [continue]; write begin = false",
    "[models]\nrun = true": "unknown key 'run' in [models]; it is for one command alone: put it "
    "under [models.verify]",
    "[help]\nx-y-z = 1": "unknown key 'x-y-z' in [help]; `sonar-llm help --help` tells what",
    "[continue]\nversion = 1": "unknown key 'version' in [continue]",
    "[continue]\nbeam-size = 1.5": "beam-size in [continue] takes N, 1<=x<=100: '1.5' is not",
    "[continue]\nbeam-size = 101": "beam-size in [continue] takes N, 1<=x<=100: 101 is not",
    "[continue]\ntemperature = nan": "temperature in [continue] takes T, 0<=x<=100: nan is not",
    '[continue]\nbegin = "yes"': 'begin in [continue] takes true or false, not "yes"',
    "[continue]\nmodel = true": "model in [continue] takes NAME|REPO|DIR|FILE, not true",
    "[continue]\nmodel = ['a']": 'model in [continue] takes NAME|REPO|DIR|FILE, not ["a"]',
    "[continue]\ndtype = 'int4'": "dtype in [continue] takes [auto|float32|bfloat16|float16|int8]: "
    "'int4' is not one of",
    "[continue]\ntarget-lang = [1, true]": "takes CODE, or a list of them, not [1, true]",
    "[continue]\nseed = 2026-01-01": "seed in [continue] takes N, not 2026-01-01",
    "[summarize]\nlength = 10": "length in [summarize] takes P%: 10 of what? Write 10%",
    "[summarize]\nlength = 10%": "is not TOML: ",
    "[continue.model]": "unknown table [continue.model]",
    "[bench]\ntexts = '1,x'": "texts in [bench] takes N,N,...: 'x' is not",
    "format = 'json'": "format (for `cache info`) takes [text|jsonl]: 'json' is not one of",
    "sentences = 0": "sentences (for `bulk continue`) takes N, x>=1: 0 is not in the range",
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults_are_named_in_one_line(call, set_in, story: str, text: str) -> None:
    file = set_in(text)
    for arguments in (["continue", story], ["models", "list"], ["config", "show"]):
        status, out, err = call(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"sonar-llm: {file}") and FAULTS[text] in err


def test_what_helps_with_a_fault_works_with_it(call, set_in) -> None:
    good = call("continue", "--help"), call("help", "continue")
    file = set_in("[[")
    assert (call("continue", "--help"), call("help", "continue")) == good
    assert call("config", "path") == (0, f"{file}\n", "")
    assert call("--version")[0] == call("--help")[0] == 0


def test_which_file_is_read(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default one may be missing, one that is named may not; nothing is no file."""
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path / "sonar-llm")
    default = tmp_path / "sonar-llm" / "config.toml"
    assert call("config", "path") == (0, f"{default}\n", "")
    assert call("models", "path")[0] == 0
    default.parent.mkdir()
    default.write_text("modle = 1")
    assert call("models", "path")[0] == 2
    default.write_bytes(b"\xff\xfe")
    assert f"{default}: the configuration file cannot be read" in call("models", "path")[2]
    monkeypatch.setenv(VARIABLE, "")
    assert call("models", "path")[0] == 0
    assert call("config", "path") == (
        1, "", f"sonar-llm: {VARIABLE} is empty, so no configuration file is read\n",
    )  # fmt: skip
    for wrong in (tmp_path / "nowhere.toml", tmp_path):
        monkeypatch.setenv(VARIABLE, str(wrong))
        status, out, err = call("models", "path")
        assert (status, out, err.count("\n")) == (2, "", 1) and str(wrong) in err
        assert call("config", "path") == (0, f"{wrong}\n", "")


def test_show_names_the_source_of_each_value(call, set_in, monkeypatch) -> None:
    file = set_in("model = 'mini'\n[evaluate]\nstories = 7\n[evaluate.mini]\ntop-p = 0.9")
    monkeypatch.setenv("SONAR_LLM_SEED", "3")
    monkeypatch.setenv("SONAR_LLM_OFFLINE", "1")
    monkeypatch.setenv("SONAR_LLM_FORMAT", "text")
    monkeypatch.setenv("SONAR_LLM_EVALUATE_FORMAT", "jsonl")
    lines = call("config", "show", "evaluate", "mini")[1].splitlines()
    assert lines[0] == "[evaluate.mini]"
    found = dict(line.split("  # ") for line in lines[1:])
    found = {name.strip(): source for name, source in found.items()}
    assert found['model = "mini"'] == f"at the top of {file}"
    assert found["stories = 7"] == f"[evaluate] of {file}"
    assert found["top-p = 0.9"] == str(file)
    assert found["seed = 3"] == "SONAR_LLM_SEED"
    assert found["offline = true"] == "SONAR_LLM_OFFLINE"
    assert found['format = "jsonl"'] == "SONAR_LLM_EVALUATE_FORMAT"
    assert found["# temperature ="] == found['device = "auto"'] == "default"
    assert len(found) == len(list(options(cli.commands["evaluate"].commands["mini"])))


def test_show_in_json(call, set_in) -> None:
    file = set_in("[decode]\nbeam-size = 2")
    found = json.loads(call("config", "show", "decode", "--format", "json")[1])
    where = {"source": "file", "place": str(file), "table": "decode"}
    assert found["decode"]["beam-size"] == {"value": 2, **where}
    default = {"source": "default", "place": None, "table": None}
    assert found["decode"]["threads"] == {"value": None, **default}
    (line,) = call("config", "show", "--format", "jsonl")[1].splitlines()
    assert json.loads(line) == {"command": "decode", "option": "beam-size", "value": 2, **where}


def test_a_token_is_not_shown(call, set_in, monkeypatch: pytest.MonkeyPatch) -> None:
    set_in('[serve]\ntoken = "s3cret"')
    assert 'token = "***"' in call("config", "show", "serve")[1]
    monkeypatch.setenv("SONAR_LLM_TOKEN", "m0re")
    for form in ("text", "json", "jsonl"):
        status, out, err = call("config", "show", "--format", form)
        assert status == 0 and "***" in out and "SONAR_LLM_TOKEN" in out
        assert "s3cret" not in out + err and "m0re" not in out + err


def test_show_without_a_command_is_what_is_set(call, set_in, monkeypatch) -> None:
    nothing = "# nothing is set: every option has its default\n"
    assert call("config", "show") == (0, nothing, "")
    file = set_in("[bench]\nrounds = 1\n[train]\nseed = 2")
    shown = f"[bench]\nrounds = 1  # {file}\n\n[train]\nseed = 2  # {file}\n"
    assert call("config", "show") == (0, shown, "")
    monkeypatch.setenv("SONAR_LLM_BENCH_DTYPE", "int8,int4")
    status, out, err = call("config", "show", "bench")
    assert (status, out) == (2, "")
    assert err.startswith("sonar-llm: SONAR_LLM_BENCH_DTYPE: 'int4' is not one of")
    assert call("config", "show", "nowhere")[0] == 2


def test_what_is_shown_can_be_the_file(call, set_in) -> None:
    shown = "".join(call("config", "show", name)[1] + "\n" for name in cli.commands)
    assert shown.count("  # default") > 200
    file = set_in(shown)
    again = "".join(call("config", "show", name)[1] + "\n" for name in cli.commands)
    assert [line.partition("  # ")[0] for line in again.splitlines()] == [
        line.partition("  # ")[0] for line in shown.splitlines()
    ]
    assert again.count(f"  # {file}") > 100


def test_the_sources_are_clicks(call, set_in, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `config show` says of each option is what Click does when it reads the options."""
    set_in("model = 'mini'\n[continue]\nbegin = false\nthreads = 2\n")
    monkeypatch.setenv("SONAR_LLM_THREADS", "3")
    shown = json.loads(call("config", "show", "continue", "--format", "json")[1])["continue"]
    names = {"DEFAULT": "default", "DEFAULT_MAP": "file", "ENVIRONMENT": "environment"}
    sources: dict[str, str] = {}

    def look(ctx: click.Context) -> int:
        for _, option in options(ctx.command):
            source = ctx.get_parameter_source(str(option.name))
            sources[option.long_name] = names[source.name] if source else ""
        return 0

    monkeypatch.setattr(cli.commands["continue"], "invoke", look)
    assert call("continue")[0] == 0
    assert sources == {name: each["source"] for name, each in shown.items()}
    assert set(sources.values()) == set(names.values())

"""Options, their variables, help and completion."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sonar_cli import __version__
from sonar_cli.cli import cli
from sonar_cli.cli.declare import Command, Option, group, option
from sonar_cli.errors import UsageError
from sonar_cli.options import RANGES, GenerationOptions, ModelRequest

STORY = "One day Lily found a kite.\n"


@pytest.fixture
def story(tmp_path: Path) -> Path:
    file = tmp_path / "story.txt"
    file.write_text(STORY)
    return file


def _options(command: click.Command, path: str = "") -> Iterator[tuple[str, Option]]:
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _options(each, f"{path} {name}".strip())
    yield from ((path, each) for each in command.params if isinstance(each, Option))


def _values(each: Option) -> str:
    """Write down which values an option takes."""
    kind = each.type
    choices = sorted(kind.choices) if isinstance(kind, click.Choice) else repr(kind)
    return f"{choices} {each.multiple} {each.is_flag} {getattr(each.callback, '__name__', None)}"


def test_a_variable_means_one_thing() -> None:
    """What one command takes from a variable, every command that has it takes as well."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for command, each in _options(cli):
        names = [each.envvar] if isinstance(each.envvar, str) else list(each.envvar or ())
        for name in names:
            found[name][command] = _values(each)
    assert found.keys() >= {"SONAR_LLM_MODEL", "SONAR_LLM_BENCH_DTYPE", "SONAR_LLM_TRAIN_OUTPUT"}
    # A report takes JSON as well, so it takes all that SONAR_LLM_FORMAT may hold elsewhere.
    kinds = {
        value for command, value in found.pop("SONAR_LLM_FORMAT").items()
        if not command.startswith(("evaluate", "bench", "config", "doctor", "models list"))
    }  # fmt: skip
    assert len(kinds) == 1
    for name, of in found.items():
        assert len(set(of.values())) == 1, (name, of)


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("FORMAT", "jsonl", ["bench", "--size", "tiny", "--texts", "1", "--contexts", ""]),
        ("INPUT_FORMAT", "markdown", ["continue", "STORY", "-n", "1"]),
        ("BENCH_DTYPE", "float32,int8", ["continue", "STORY", "-n", "1"]),
        ("TRAIN_OUTPUT", "/nowhere/at/all", ["encode", "STORY", "--format", "jsonl"]),
        ("TARGET_LANG", "eng_Latn eng_Latn", ["decode", "VECTORS"]),
    ],
)
def test_variables_do_not_break_other_commands(
    call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, story: Path,
    variable: str, value: str, arguments: list[str],
) -> None:  # fmt: skip
    vectors = tmp_path / "v.npy"
    assert call("encode", str(story), "-o", str(vectors))[0] == 0
    monkeypatch.setenv(f"SONAR_LLM_{variable}", value)
    given = [{"STORY": str(story), "VECTORS": str(vectors)}.get(each, each) for each in arguments]
    status, out, err = call(*given)
    assert (status, err) == (0, "")
    assert out.strip()


def test_an_option_wins_over_the_variable_of_its_opposite(call, monkeypatch, tmp_path) -> None:
    file = tmp_path / "tale.txt"
    file.write_text("Tom ran. Tom sat. Tom ate. Tom sang. Tom slept.")
    how = ("--method", "extractive", "--no-cache")
    monkeypatch.setenv("SONAR_LLM_SENTENCES", "3")
    assert len(call("summarize", str(file), *how)[1].splitlines()) == 3
    assert len(call("summarize", str(file), *how, "--length", "20%")[1].splitlines()) == 1
    monkeypatch.setenv("SONAR_LLM_LENGTH", "40%")
    assert len(call("summarize", str(file), *how, "-n", "4")[1].splitlines()) == 4
    assert call("summarize", str(file), *how, "-n", "4", "--length", "20%")[0] == 2


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e30", "-2"])
def test_no_option_takes_a_number_that_is_none(call, story: Path, value: str) -> None:
    """Nor one so large that what is computed with it is none."""
    found = 0
    for name, each in _options(cli):
        if isinstance(each.type, click.types.FloatParamType):
            found += 1
            option = max(each.opts, key=len)
            status, out, err = call(*name.split(), str(story), f"{option}={value}")
            assert (status, out) == (2, "") and err.count("\n") == 1
            assert f"Invalid value for '{option}'" in err and "is not in the range" in err
    assert found >= 6
    status, out, err = call("summarize", str(story), f"--length={value}%")
    assert (status, out) == (2, "") and "is not in the range" in err


def test_whole_numbers_have_a_most(call, story: Path) -> None:
    """Also those that have no range: no machine counts so far, and no seed has so many bits."""
    found = 0
    for name, each in _options(cli):
        if isinstance(each.type, click.types.IntParamType):
            found += 1
            option = max(each.opts, key=len)
            for value in ("9" * 23, "-" + "9" * 23, "9" * 400, "9" * 5000, "nan", "1.5"):
                status, out, err = call(*name.split(), str(story), f"{option}={value}")
                assert (status, out) == (2, "") and err.count("\n") == 1 and len(err) < 200
                assert f"'{option}'" in err
    assert found >= 15
    for line in ("continue --batch-size", "bench --texts", "evaluate paper --seeds"):
        status, out, err = call(*line.split(), "9" * 400)
        assert (status, out) == (2, "") and "9999... is not in the range" in err


def test_minus_nothing_is_no_temperature(call, story: Path) -> None:
    for name in ("--temperature", "--token-temperature", "--guidance"):
        status, out, err = call("continue", str(story), f"{name}=-0")
        assert (status, out) == (2, "") and "-0 is not in the range 0<=x<=100" in err


def test_no_option_is_empty(call, story: Path) -> None:
    for name, each in _options(cli):
        if each.is_flag or each.may_be_empty:
            continue
        option = max(each.opts, key=len)
        status, out, err = call(*name.split(), str(story), f"{option}=")
        assert (status, out) == (2, "") and err.count("\n") == 1
        assert f"'{option}'" in err and "it is empty; give " in err
    for command in ("continue", "encode", "decode", "models show", "train"):
        status, out, err = call(*command.split(), "")
        assert (status, out) == (2, "") and "it is empty" in err


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TEMPERATURE", "nan", "'--temperature' (SONAR_LLM_TEMPERATURE): nan is not in"),
        ("SENTENCES", "0", "'-n' / '--sentences' (SONAR_LLM_SENTENCES): 0 is not in the range"),
        ("SEED", "9" * 400, "'--seed' (SONAR_LLM_SEED): 9999"),
        ("BATCH_SIZE", "many", "'--batch-size' (SONAR_LLM_BATCH_SIZE): 'many' is not"),
        ("FORMAT", "json", "'--format' (SONAR_LLM_FORMAT): 'json' is not one of"),
        ("MODEL", "90m", "(from SONAR_LLM_MODEL)"),
        ("ENCODING", "klingon", "no character set 'klingon'; name it as in latin-1, cp1252"),
        ("ENCODING", "klingon", "(from SONAR_LLM_ENCODING)"),
        (
            "ENCODER",
            "nowhere",
            "no such file, directory or Hub repository (from SONAR_LLM_ENCODER)",
        ),
        ("TARGET_LANG", "eng_Latn xx", "(from SONAR_LLM_TARGET_LANG)"),
    ],
)
def test_a_wrong_variable_is_named(
    call, monkeypatch, story: Path, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(f"SONAR_LLM_{variable}", value)
    status, out, err = call("continue", str(story))
    assert (status, out) == (2, "") and err.count("\n") == 1
    assert words in err
    monkeypatch.setenv(f"SONAR_LLM_{variable}", "")  # as if it were not set
    assert call("continue", str(story), "-n", "1")[0] == 0


def test_a_variable_that_is_right_is_not_named(call, monkeypatch, story: Path) -> None:
    for name, value in (("SENTENCES", "5"), ("QUIET", "1"), ("SEED", "5"), ("SPLIT", "lines")):
        monkeypatch.setenv(f"SONAR_LLM_{name}", value)
    for arguments in (["-m", "1"], ["--candidates", "5", "--temperature", "0"]):
        status, _, err = call("continue", str(story), *arguments)
        assert status == 2 and "SONAR_LLM_" not in err


@pytest.mark.parametrize("name", RANGES)
def test_options_of_the_api_have_the_same_ranges(name: str) -> None:
    least, most = RANGES[name]
    for value in (math.nan, math.inf, least - 1, most + 1):
        with pytest.raises(UsageError, match=f"{name} is from {least} to {most}, not {value}"):
            GenerationOptions(**{name: value})
    GenerationOptions(**{name: most})


@pytest.mark.parametrize("option", ["--beam-size", "--llm-beams"])
def test_beams_have_a_most(call, story: Path, option: str) -> None:
    status, out, err = call("continue", str(story), option, "101")
    assert (status, out) == (2, "") and "101 is not in the range 1<=x<=100" in err


def test_a_report_in_every_format(call, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = ("bench", "--size", "tiny", "--texts", "1", "--contexts", "4", "--rounds", "1")
    monkeypatch.setenv("SONAR_LLM_FORMAT", "jsonl")
    lines = call(*bench)[1].splitlines()
    assert [json.loads(line)["what"] for line in lines] == ["token step"] * 2 + ["next vector"] * 2
    monkeypatch.setenv("SONAR_LLM_BENCH_FORMAT", "json")
    assert len(json.loads(call(*bench)[1])["timings"]) == 4
    assert call(*bench, "--format", "text")[1].count("| --- |") == 2


def test_minus_is_stdout(call, story: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = call("continue", str(story), "-n", "2")[1]
    assert plain == call("continue", str(story), "-n", "2", "-o", "-")[1]
    lines = call("encode", str(story), "--format", "jsonl", "-o", "-")[1]
    assert json.loads(lines)["text"] == STORY.strip()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["story.txt"]


def test_help_of_a_command_and_of_a_command_in_a_group(call) -> None:
    for words in (["continue"], ["models", "pull"], []):
        status, out, _ = call("help", *words)
        assert status == 0
        assert (0, out, "") == call(*words, "--help")
    for words in (["nowhere"], ["models", "nowhere"], ["continue", "more"]):
        status, out, err = call("help", *words)
        assert (status, out) == (2, "")
        assert "No such command" in err and err.count("\n") == 1


def test_version(call) -> None:
    for flag in ("-V", "--version"):
        assert call(flag) == (0, f"sonar-llm, version {__version__}\n", "")


def test_the_list_of_commands_is_not_cut(call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (["--help"], ["models", "--help"], ["cache", "--help"]):
        out = call(*arguments)[1]
        listed = out.split("Commands:\n")[1].splitlines()
        assert listed and all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_every_argument_and_option_is_explained(call) -> None:
    for command, each in _options(cli):
        assert each.help, f"{command} {each.opts} has no help"
    out = call("continue", "--help")[1]
    assert "[FILE|-]...  The texts; - or nothing: standard input." in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(call, monkeypatch, shell: str) -> None:
    monkeypatch.setenv("_SONAR_LLM_COMPLETE", f"{shell}_source")
    # Click asks bash itself for its version, which may be missing or old on a machine.
    monkeypatch.setattr("click.shell_completion.BashComplete._check_version", lambda *_: None)
    status, out, _ = call()
    assert status == 0
    assert "_SONAR_LLM_COMPLETE=" in out and "sonar-llm" in out and "Usage:" not in out


def test_completion_completes(call, monkeypatch) -> None:
    monkeypatch.setenv("_SONAR_LLM_COMPLETE", "bash_complete")
    for words, expected in (("sonar-llm cont", "continue"), ("sonar-llm models pu", "pull")):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        status, out, _ = call()
        assert (status, out.splitlines()) == (0, [f"plain,{expected}"])


def test_a_group_makes_one_object_and_drops_nothing() -> None:
    seen: list[object] = []

    @click.command(cls=Command)
    @group("request", ModelRequest, option("--model"), option("--encoder"))
    @option("--more")
    def command(request: ModelRequest, more: str) -> None:
        seen.append((request, more))

    command.main(["--model", "a", "--encoder", "b", "--more", "c"], standalone_mode=False)
    assert seen == [(ModelRequest("a", encoder="b"), "c")]

    @click.command(cls=Command)
    @group("request", ModelRequest, option("--modell"))
    def renamed(request: ModelRequest) -> None:
        """An option that no field is called after."""

    with pytest.raises(TypeError, match="modell"):
        renamed.main(["--modell", "a"], standalone_mode=False)

"""Every command line in README and docs is run, and the help in the docs is the program's.

`python -m tests.test_docs` writes the help into docs/command-line.md; with `--table` it also
measures `mini` (minutes) and writes the table into docs/mini.md.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sonar_cli import SonarLLM
from sonar_cli.cli import cli, run
from sonar_cli.hub.catalogue import SONAR_LICENCE
from sonar_cli.text.sent_tokenize import NO_DATA
from sonar_cli.text.sentences import split
from sonar_cli.world import stories as world
from sonar_cli.world import words
from tests.hub_server import HubServer, serving

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it along there

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GOLDENS = ROOT / "tests" / "goldens"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

HELP = DOCS / "command-line.md"
COMMANDS = (
    "",
    "help",
    "continue",
    "summarize",
    "encode",
    "decode",
    "bulk",
    "bulk continue",
    "bulk summarize",
    "bulk encode",
    "serve",
    "train",
    "evaluate",
    "evaluate mini",
    "evaluate codec",
    "evaluate continuations",
    "evaluate dtype",
    "evaluate summaries",
    "evaluate paper",
    "bench",
    "models",
    "models list",
    "models pull",
    "models show",
    "models path",
    "models verify",
    "models rm",
    "models convert",
    "cache",
    "cache info",
    "cache clear",
    "config",
    "config show",
    "config path",
    "doctor",
)
VARIABLES = re.compile(r"\| variable \|.*?(?=\n\n)", re.S)
TABLE = re.compile(r"(<!-- sonar-llm (evaluate [\w -]+) -->\n)(.*?)(\n<!-- end -->)", re.S)

# What a line needs decides how a test runs it; all that is in none of these runs as it stands.
SET_UP = ("python3 -m venv", "pip install")
CHECKS = ("python -m pytest", "ruff check", "mypy", "oracle.sh", "tests.test_docs")
HUB = ("-m 900m", "models pull")
LOCAL = ("checkpoint.pt",)
ORIGINAL = ("--codec sonar-space", "--against sonar-space")
SYSTEMS = ("sonar-llm train", "runs/")
PAPER = ("evaluate paper",)
VERIFY = ("models verify 900m",)
SPECIAL = SET_UP + CHECKS + HUB + LOCAL + ORIGINAL + SYSTEMS + PAPER + VERIFY


def _lines() -> list[str]:
    blocks = [
        block for page in PAGES for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S)
    ]
    return list(dict.fromkeys(line for block in blocks for line in block.splitlines() if line))


LINES = _lines()


def _with(parts: tuple[str, ...]) -> list[str]:
    return [line for line in LINES if any(part in line for part in parts)]


PLAIN = [line for line in LINES if line not in _with(SPECIAL)]


def _shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line as written; nothing may reach a network, a cache or settings of this machine."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SONAR_LLM_", "HF_"))}
    path = f"{folder}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(folder / "cache")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env={**kept, "PATH": path, "NO_PROXY": "127.0.0.1,localhost", "PYTHONPATH": str(ROOT)}
        | {"HF_HUB_DISABLE_XET": "1", "OMP_NUM_THREADS": "2"}
        | {"SONAR_LLM_CONFIG_FILE": os.devnull}
        | nowhere
        | more,
        capture_output=True,
        text=True,
        timeout=250,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what the lines read, and a stand-in for jq where the machine has none."""
    shutil.copytree(DOCS, tmp_path / "docs")
    for name in ("books", "held-out"):
        shutil.copytree(DOCS / "examples", tmp_path / name)
    shutil.copy(DOCS / "examples" / "story.txt", tmp_path)
    (tmp_path / "stories.jsonl").write_text('{"text": "One day Lily found a kite."}\n' * 3)
    if shutil.which("jq") is None:
        jq = tmp_path / "jq"
        script = "import json, sys\nfor line in sys.stdin: print(json.loads(line)['text'])\n"
        jq.write_text(f"#!{sys.executable}\n{script}")
        jq.chmod(0o755)
    return tmp_path


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """The Hub on loopback, with tiny models under the published names."""
    root = tmp_path / "hub"
    for name in ("100m", "900m"):
        shutil.copytree(
            GOLDENS / "predictors" / "wide-heads", root / "raxtemur" / f"sonar-llm-{name}"
        )
    encoder = root / "cointegrated" / "SONAR_200_text_encoder"
    shutil.copytree(GOLDENS / "huggingface" / "encoder", encoder)
    shutil.copy(GOLDENS / "tokenizer" / "sentencepiece.model", encoder / "sentencepiece.bpe.model")
    decoder = root / "raxtemur" / "SONAR_200_text_decoder"
    shutil.copytree(GOLDENS / "huggingface" / "decoder", decoder)
    with serving(root) as server:
        yield server


# The tiny models know no ending and little English: two sentences of whatever they write.
SHORT = {
    "SONAR_LLM_SENTENCES": "2",
    "SONAR_LLM_MAX_TOKENS": "16",
    "SONAR_LLM_STOP_THRESHOLD": "2",
}


def test_there_are_lines_of_every_kind() -> None:
    assert len(PLAIN) >= 8
    for parts in (SET_UP, CHECKS, HUB, LOCAL, ORIGINAL, SYSTEMS, PAPER):
        assert _with(parts), parts


def _quick(line: str) -> str:
    """Two stories instead of three hundred, and tiny weights, show that a line works."""
    line = re.sub(r"(evaluate .*)", r"\1 --stories 2", line)
    return line.replace("llm bench", "llm bench --size tiny --rounds 1")


@pytest.mark.parametrize("line", PLAIN)
def test_a_line_runs(line: str, folder: Path) -> None:
    done = _shell(_quick(line), folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def _unexpected(said: str, *expected: str) -> list[str]:
    """Return the lines but the expected ones, and that NLTK's data is not on this machine."""
    return [line for line in said.splitlines() if not any(e in line for e in (NO_DATA, *expected))]


@pytest.mark.parametrize("line", _with(HUB))
def test_a_line_that_downloads_runs(line: str, folder: Path, hub: HubServer) -> None:
    at_hub, licence = {"HF_ENDPOINT": hub.url}, 1
    if "--offline" in line:
        assert _shell("sonar-llm models pull 900m", folder, **at_hub).returncode == 0
        at_hub, licence = {}, 0
    done = _shell(line, folder, **SHORT, **at_hub)
    assert done.stderr.count(SONAR_LICENCE) == licence
    assert (done.returncode, _unexpected(done.stderr, SONAR_LICENCE)) == (0, [])
    pulled = line.partition("models pull ")[2].split()
    assert len(done.stdout.splitlines()) == (len(pulled) or 2)
    assert "pytorch_model.bin" in hub.got()


@pytest.mark.parametrize("line", _with(HUB))
def test_a_line_that_downloads_says_when_it_cannot(line: str, folder: Path) -> None:
    done = _shell(line, folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("sonar-llm: ")
    assert "-m mini" in done.stderr


@pytest.mark.parametrize("line", _with(VERIFY))
def test_a_line_that_verifies_knows_other_weights(line: str, folder: Path, hub: HubServer) -> None:
    done = _shell(line, folder, HF_ENDPOINT=hub.url)
    assert done.returncode == 1
    begins = [each.partition(":")[0] for each in done.stdout.splitlines()]
    assert begins == ["good", "good", "wrong"]
    assert done.stderr.endswith("remove the files and get them again\n")


@pytest.mark.parametrize("line", _with(LOCAL))
def test_a_line_with_local_files_runs(line: str, folder: Path) -> None:
    files = {
        "checkpoint.pt": "predictors/bare.pt",
        "--config": "predictors/bare.json",
        "--encoder": "fairseq2/encoder.pt",
        "--decoder": "fairseq2/decoder.pt",
        "--tokenizer": "tokenizer/sentencepiece.model",
    }
    words = shlex.split(line)
    for name, golden in files.items():
        there = words[words.index(name) + 1] if name.startswith("-") else name
        shutil.copy(GOLDENS / golden, folder / there)
    # How many heads the tiny codec has; the published one needs no such file.
    shutil.copy(GOLDENS / "fairseq2" / "config.json", folder)
    done = _shell(line, folder, **SHORT)
    assert (done.returncode, _unexpected(done.stderr)) == (0, [])
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("line", _with(ORIGINAL))
def test_a_line_that_needs_sonar_space_says_so(line: str, folder: Path) -> None:
    done = _shell(_quick(line), folder, **SHORT)
    if importlib.util.find_spec("sonar"):
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1
        assert "sonar-space" in done.stderr


# The real sizes take minutes; these go the same way in seconds.
SMALL = (
    "train.steps=2 train.batch=2 model.hidden=32 model.ffn=48 model.heads=2 model.layers=1 "
    "data.stories=20 objective.vector_steps=0"
)
SMALL_CODEC = (
    "train.steps=2 train.batch=2 model.width=32 model.layers=1 model.heads=2 "
    "model.encoder_ffn=48 model.decoder_ffn=48 model.vocabulary=420 data.valid=0.5"
)


SMALL_MODEL = (
    "codec.data.stories=40 codec.model.vocabulary=800 codec.train.steps=2 codec.train.batch=8 "
    "predictor.data.stories=20 predictor.objective.vector_steps=2 predictor.train.steps=2"
)


# Some twenty commands, each in a process of its own.
@pytest.mark.timeout(1_200)
def test_the_training_pages_lines_run(folder: Path) -> None:
    """One after the other, since later ones use what earlier ones trained."""
    lines = [line for line in _with(SYSTEMS) if line not in _with(PAPER)]
    assert sum("train " in line for line in lines) >= 3
    for line in lines:
        more = {
            "accelerate": f"{SMALL} --device cpu",
            "finetune": "train.steps=2 train.batch=2",
            "train codec": SMALL_CODEC,
            "train mini": SMALL_MODEL,
            "train ": SMALL,
            "continue": "-n 1 --max-tokens 8",
        }
        short = f"{line} {next((more[key] for key in more if key in line), '')}"
        done = _shell(short, folder)
        # Accelerate names the settings that a line leaves to it.
        assert done.returncode == 0 and (not done.stderr or "accelerate" in line), line
        assert done.stdout.strip(), line


# One size, and what takes longest left out.
SMALL_TERMS = """
sizes = [400_000]
layers = 1
seeds = [0]
rates = [1e-3]
steps = 2
seconds = 0.2
tried = 2
batch = 2
texts = 2
sentences = 2

[data]
path = "branching"
stories = 20

[needle]
contexts = []

[cost]
contexts = []
random_contexts = []
"""


def test_the_comparison_pages_lines_run(folder: Path) -> None:
    """One after the other, on terms of seconds; what is drawn was measured by a line before."""
    (folder / "terms.toml").write_text(SMALL_TERMS)
    lines = _with(PAPER)
    assert any("--draw" in line for line in lines) and any("--texts" in line for line in lines)
    for line in lines:
        short = line.replace("--codec-from runs/books-codec", "--codec-from mini")
        if "--draw" not in line:
            short = f"{short.replace('--small', '')} --terms terms.toml --threads 1 -q"
        done = _shell(short, folder)
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout.strip() or " -o " in line, line


def test_the_api_page_is_true(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its examples are doctests; random choices of the model are dots."""
    monkeypatch.chdir(ROOT)
    found = doctest.testfile(
        str(DOCS / "api.md"),
        module_relative=False,
        globs={"cache_folder": tmp_path},
        optionflags=doctest.ELLIPSIS,
    )
    assert found.attempted > 20 and found.failed == 0


def test_the_environment_line_makes_one(folder: Path) -> None:
    (line,) = (line for line in LINES if "python3 -m venv" in line)
    done = _shell(f"{line}; command -v pip; sonar-llm --version || echo none", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(folder / ".venv"))


def test_install_and_check_lines_are_what_ci_runs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "pip install '.[dev]'" in LINES
    assert "dev" in project["optional-dependencies"]
    assert "sonar-llm" in project["scripts"]
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    for line in ("pip install '.[dev]'", "python -m pytest", "mypy"):
        assert line in LINES
        assert line in ci
    (ruff,) = _with(("ruff check",))
    assert all(part in ci for part in ruff.split(" && "))
    (goldens,) = _with(("SONAR_LLM_GOLDENS=",))
    assert any(line.endswith(goldens.partition(" ")[2]) and "GOLDENS=" in line for line in ci)
    (oracle,) = _with(("oracle.sh",))
    assert any("oracle.sh" in line for line in ci)
    usage = _shell(f"bash {ROOT / oracle.split()[0]}", ROOT)  # without arguments it does nothing
    assert usage.returncode == 2
    assert len(oracle.split()) == 1 + len(re.findall(r"[A-Z]{4,}", usage.stderr))


def _help(command: str) -> str:
    """Return a command's help as the page shows it, at 80 columns."""
    words = " ".join(filter(None, ["sonar-llm", command, "--help"]))
    done = _shell(words, ROOT, COLUMNS="80")
    shown = [f"    $ {words}", *(f"    {line}".rstrip() for line in done.stdout.splitlines())]
    return "\n".join(shown).rstrip()


def test_help_in_the_docs_is_the_programs() -> None:
    shown = HELP.read_text().split("## Help\n\n", 1)[1]
    assert shown == "\n\n".join(map(_help, COMMANDS)) + "\n"


def _variables() -> str:
    """Return the table of all environment variables, as the page shows it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name, each in _options(cli):
        for variable in [each.envvar] if isinstance(each.envvar, str) else each.envvar or ():
            long = max(each.opts, key=len)
            found.setdefault(variable, (long, []))[1].append(name)
    head = ["| variable | option | commands |", "| --- | --- | --- |"]
    rows = [
        f"| `{variable}` | `{option}` | {', '.join(sorted(set(names)))} |"
        for variable, (option, names) in sorted(found.items())
    ]
    return "\n".join(head + rows)


def test_the_variables_in_the_docs_are_the_programs() -> None:
    assert VARIABLES.search(HELP.read_text())[0] == _variables()  # type: ignore[index]


def _rows(page: str) -> list[list[str]]:
    """Return the rows of the tables that a command wrote into a page, without their heads."""
    written = TABLE.search((DOCS / page).read_text())
    assert written, f"docs/{page} has lost the place of its table"
    tables = (table.splitlines()[2:] for table in written[3].split("\n\n"))
    return [line.strip("| ").split(" | ") for table in tables for line in table]


def test_the_tables_are_real_ones() -> None:
    rows = _rows("mini.md")
    assert len(rows) == 5, "python -m tests.test_docs --table fills it in"
    assert [row[2] for row in rows[1:4]] == ["300"] * 3
    assert all(row[-1] == "yes" for row in rows)
    rows = _rows("summaries.md")
    assert [row[-1] for row in rows] == ["300"] * 8 + ["yes"] * 12
    assert "PLACEHOLDER" not in "".join(page.read_text() for page in PAGES)


def _options(command: click.Command, path: str = "") -> Iterator[tuple[str, click.Option]]:
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _options(each, f"{path} {name}".strip())
    yield from ((path, each) for each in command.params if isinstance(each, click.Option))


def test_every_option_has_its_variable() -> None:
    without = [each.opts for _, each in _options(cli) if each.name != "version" and not each.envvar]
    assert without == []
    assert all(name.startswith("SONAR_LLM_") for name in re.findall(r"\| `(\w+)`", _variables()))


def test_the_story_worlds_figures() -> None:
    page = (DOCS / "mini.md").read_text()
    assert f"{len(world.patterns())} sentence patterns" in page
    lengths = [len(each.sentences) for each in world.stories(2000)]
    assert f"{min(lengths)} to {max(lengths)} sentences a story" in page
    assert len(world.vocabulary()) >= 1500


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (DOCS / "dependencies.md").read_text()
    listed = re.findall(r"^\| ([\w-]+) \|", page, re.M)[2:]
    names = [re.split(r"[^\w-]", dependency)[0] for dependency in project["dependencies"]]
    assert sorted(listed) == sorted(names)


def test_the_examples_are_stories_of_the_world() -> None:
    for name, lengths in (("story.txt", (2, 3)), ("tale.txt", range(9, 16))):
        sentences = split((DOCS / "examples" / name).read_text())
        assert len(sentences) in lengths
        assert all(world.accepts(each.text) for each in sentences)


def test_the_first_example_is_continued_rightly() -> None:
    """README's first output: the story stays about Tom and his bulb, and ends by itself."""
    text = (DOCS / "examples" / "story.txt").read_text()
    (given, wish) = (each.text for each in split(text))
    assert "Tom" in given and "bulb" in given and "bulb" in wish
    *steps, ended = SonarLLM.load("mini", device="cpu").continue_(text)
    written = [step.text or "" for step in steps]
    assert ended.stop_reason == "end" and 8 <= len(written) <= 13
    # Of mini's drawn sentences one in a hundred is not of the world's grammar.
    right = [each for each in written if world.accepts(each)]
    assert len(right) >= len(written) - 1
    said = set(re.findall(r"[\w-]+", " ".join(right)))
    assert {"Tom", "bulb"} <= said
    things = {thing for _, things in words.THINGS.values() for thing in things}
    assert said & things == {"bulb"}
    assert said & {*words.BOYS, *words.GIRLS} == {"Tom"}


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def _write_help() -> None:
    before = HELP.read_text().split("## Help\n\n", 1)[0]
    before = VARIABLES.sub(lambda _: _variables(), before)
    HELP.write_text(f"{before}## Help\n\n" + "\n\n".join(map(_help, COMMANDS)) + "\n")


def _write_tables() -> None:
    """Measure what a page's marks name, and write what comes out between them."""
    for page in PAGES:
        text = page.read_text()
        for start, command, _, end in TABLE.findall(text):
            with tempfile.TemporaryDirectory() as folder:
                assert run([*command.split(), "-o", f"{folder}/table"]) == 0
                table = Path(folder, "table").read_text().strip()
            old = re.compile(re.escape(start) + ".*?" + re.escape(end), re.S)
            text = old.sub(lambda _, new=start + table + end: new, text)
        page.write_text(text)


if __name__ == "__main__":
    _write_help()
    if "--table" in sys.argv:
        _write_tables()

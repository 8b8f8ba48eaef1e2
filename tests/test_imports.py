"""What is imported when: the arrows of the layout, and a quick --help."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sonar_cli"

# room or file -> what it may import beside itself
ALLOWED = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "options": set(),
    "text": {"errors"},
    "world": set(),
    "model": {"options", "errors"},
    "hub": {"options", "errors", "model"},
    "pipeline": {"options", "model"},
    "summary": {"options", "errors", "model", "pipeline", "text"},
    "training": {"errors", "model"},
    "mini": {"options", "model", "training", "world"},
    "evaluation": {
        *("options", "errors", "hub", "model", "pipeline", "summary", "text", "world"),
    },
    "render": {"options", "evaluation", "hub", "text"},
    "cli": {
        *("__version__", "options", "errors", "evaluation", "hub", "mini", "model", "pipeline"),
        *("render", "summary", "text", "world"),
    },
}
HEAVY = ("torch", "nltk", "huggingface_hub", "rich", "numpy", "tqdm", "sentencepiece")
ONLY_IN = {
    "rich": {"render"},
    "click": {"cli"},
    "huggingface_hub": {"hub"},
    "nltk": {"text", "evaluation"},
    "rouge_score": {"evaluation"},
    "sumy": {"evaluation"},
    "sonar": {"model"},
    "fairseq2": {"model", "hub"},
    "sentencepiece": {"model", "mini"},
}


def _imports(path: Path, top_level: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = _part(path)
    for name in _imports(path):
        words = name.split(".")
        if words[0] == "sonar_cli":
            assert words[1] in {part} | ALLOWED[part], f"{part} imports {name}"
        elif words[0] in ONLY_IN:
            assert part in ONLY_IN[words[0]], f"{part} imports {name}"


def test_the_story_world_needs_no_torch() -> None:
    for file in (PACKAGE / "world").glob("*.py"):
        names = _imports(file)
        assert all(each.split(".")[0] in sys.stdlib_module_names | {"sonar_cli"} for each in names)


def test_the_command_line_imports_nothing_heavy_at_the_top() -> None:
    rooms = ("cli", "hub", "render", "text", "world")
    for file in [each for room in rooms for each in (PACKAGE / room).glob("*.py")]:
        names = _imports(file, top_level=True)
        assert not {each.split(".")[0] for each in names} & set(HEAVY), file.name


@pytest.mark.parametrize(
    "command",
    [
        *("", "continue", "summarize", "encode", "decode", "train", "evaluate"),
        *("models", "models list", "cache", "cache info"),
    ],
)
def test_help_loads_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from sonar_cli.cli import run; "
        f"status = run({[*command.split(), '--help']!r}); "
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), status, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[] 0\n"
    assert done.stdout.startswith("Usage: sonar-llm")

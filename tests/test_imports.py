"""What is imported when: the arrows of the layout, and a quick --help."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sonar_cli"

# part -> the parts it may import
ALLOWED = {
    "__init__": set(),
    "errors": set(),
    "config": set(),
    "options": {"config"},
    "inputs": {"errors"},
    "punkt": {"scripts"},
    "sentences": {"punkt", "scripts"},
    "clauses": {"scripts", "sentences"},
    "scripts": set(),
    "store": {"config", "errors", "model"},
    "model": {"config", "errors", "model"},
    "pipeline": {"config", "model"},
    "blocks": set(),
    "markdown": {"blocks"},
    "html": {"blocks", "errors"},
    "documents": {"blocks", "clauses", "errors", "html", "markdown", "sentences"},
    "cache": {"errors"},
    "vectors": {"cache", "model"},
    "salience": {"vectors"},
    "summarize": {"config", "documents", "errors", "model", "pipeline", "salience", "vectors"},
    "training": {"config", "errors", "model", "training"},
    "evaluation": {
        *("config", "documents", "errors", "evaluation", "mini", "model", "pipeline"),
        *("sentences", "store", "summarize", "vectors"),
    },
    "mini": {"config", "errors", "model", "training", "mini"},
    "render": {"config", "sentences", "store", "evaluation", "render"},
    "running": {"config", "errors", "inputs", "mini", "model", "render", "store"},
    "summarizing": {
        *("cache", "config", "documents", "errors", "model", "render", "running"),
        *("store", "summarize", "vectors"),
    },
    "__main__": {"cli"},
}
HEAVY = ("torch", "nltk", "huggingface_hub", "rich", "numpy", "tqdm", "sentencepiece")
ONLY_IN = {
    "rich": {"render"},
    "click": {"cli", "options"},
    "huggingface_hub": {"store"},
    "nltk": {"punkt", "evaluation"},
    "rouge_score": {"evaluation"},
    "sumy": {"evaluation"},
    "sonar": {"model"},
    "fairseq2": {"model"},
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
            imported = words[1]
            if part != "cli" and imported != "__version__":
                assert imported in ALLOWED[part], f"{part} imports {name}"
        elif words[0] in ONLY_IN:
            assert part in ONLY_IN[words[0]], f"{part} imports {name}"


def test_the_story_world_needs_no_torch() -> None:
    for name in ("words", "plots", "patterns", "grammar", "world"):
        names = _imports(PACKAGE / "mini" / f"{name}.py")
        assert all(each.split(".")[0] in sys.stdlib_module_names | {"sonar_cli"} for each in names)
        assert all(each.startswith("sonar_cli.mini") for each in names if "sonar_cli" in each)


def test_the_command_line_imports_nothing_heavy_at_the_top() -> None:
    modules = ("cli", "options", "running", "summarizing", "inputs", "sentences", "store", "cache")
    for file in [*(PACKAGE / f"{name}.py" for name in modules), *(PACKAGE / "render").iterdir()]:
        if file.suffix == ".py":
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

"""What is imported when: the arrows of the layout, and a quick --help."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "sonar_cli"

# room or file -> what it may import beside itself; a room's rooms have lines of their own
BASE = {"cores", "errors", "options", "toml"}
CONFIGS = {*BASE, "model.disk", "model.names", "model.shapes", "model.values"}
CODEC = {*CONFIGS, "model.attention", "model.finite", "model.recompute"}
ALLOWED = {
    "__init__": {"api", "options", "text"},
    "__main__": {"cli"},
    "cores": set(),
    "errors": set(),
    "options": {"errors"},
    "toml": {"errors"},
    "text": BASE,
    "world": set(),
    "model": set(),
    "model.names": set(),
    "model.disk": {"errors"},
    "model.values": {"model.disk"},
    "model.shapes": {*BASE, "model.disk", "model.names", "model.values"},
    "model.weights": CONFIGS,
    "model.pickles": {"errors"},
    "model.files": {"errors", "model.disk", "model.pickles", "model.weights"},
    "model.finite": {"errors"},
    "model.attention": set(),
    "model.whole": set(),
    "model.recompute": set(),
    "model.sampling": set(),
    "model.quantized": set(),
    "model.fast": {"model.files", "model.quantized", "model.weights", "model.whole"},
    "model.codec": {*CODEC, "model.sampling"},
    "model.systems": {
        *(*BASE, "model.attention", "model.codec", "model.finite", "model.recompute"),
        "model.shapes",
    },
    "model.formats": {
        *(*CODEC, "model.codec", "model.files", "model.quantized", "model.systems"),
        "model.weights",
    },
    "model.load": {
        *(*CODEC, "model.codec", "model.fast", "model.formats", "model.quantized"),
        "model.systems",
    },
    "model.describe": {*BASE, "model.files", "model.names", "model.shapes"},
    "hub": {*BASE, "model"},
    "pipeline": {*BASE, "model", "tokens"},
    "tokens": {*BASE, "model", "text"},
    "summary": {*BASE, "hub", "model", "pipeline", "text"},
    "trained": {*BASE, "hub", "model", "text"},
    "api": {*BASE, "hub", "model", "pipeline", "summary", "text", "trained", "world"},
    "training": {*BASE, "model", "pipeline", "text", "world"},
    "mini": set(),
    "doctor": {*BASE, "__version__", "api", "hub", "model", "summary", "text"},
    "bulk": {
        *BASE,
        "__version__",
        "api",
        "hub",
        "model",
        "pipeline",
        "summary",
        "text",
        "training",
    },
    "evaluation": {*BASE, "hub", "model", "pipeline", "summary", "text", "training", "world"},
    "serve": {*BASE, "__version__", "api", "pipeline", "text"},
    "render": {*BASE, "doctor", "evaluation", "hub", "text"},
    "cli": {
        *BASE,
        *(
            "__version__",
            "api",
            "bulk",
            "doctor",
            "evaluation",
            "hub",
            "mini",
            "model",
            "pipeline",
            "render",
        ),
        *("serve", "summary", "text", "training"),
    },
}
HEAVY = (
    *("torch", "nltk", "huggingface_hub", "rich", "numpy", "tqdm", "sentencepiece"),
    *("matplotlib", "plotext", "pyarrow", "ray"),
    *("fastapi", "pydantic", "starlette", "uvicorn"),
)
ONLY_IN = {
    "rich": {"render"},
    "matplotlib": {"render"},
    "plotext": {"render"},
    "click": {"cli"},
    "packaging": {"doctor"},
    "markdown_it": {"text"},
    "huggingface_hub": {"hub"},
    "nltk": {"text", "evaluation"},
    "rouge_score": {"evaluation"},
    "sumy": {"evaluation"},
    "ctranslate2": {"evaluation"},
    "sacrebleu": {"evaluation"},
    "sonar": {"model"},
    "fairseq2": {"model", "hub"},
    "sentencepiece": {"model", "training"},
    "accelerate": {"training"},
    "pyarrow": {"training", "bulk"},
    "ray": {"bulk"},
    "datasets": {"training"},
    "fastapi": {"serve"},
    "pydantic": {"serve"},
    "starlette": {"serve"},
    "uvicorn": {"serve"},
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


def _room(name: str) -> str:
    """Return the room of a module: of `model.codec.beam` it is `model.codec`."""
    words = name.split(".")
    return ".".join(words[: 2 if words[0] == "model" else 1])


def _part(path: Path) -> str:
    return _room(".".join(path.relative_to(PACKAGE).with_suffix("").parts).replace(".__init__", ""))


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = _part(path)
    for name in _imports(path):
        words = name.split(".")
        if words[0] == "sonar_cli":
            room = _room(".".join(words[1:]))
            allowed = {part} | ALLOWED[part]
            assert room in allowed or words[1] in allowed, f"{part} imports {name}"
        elif words[0] in ONLY_IN:
            assert part.split(".")[0] in ONLY_IN[words[0]], f"{part} imports {name}"


def test_the_story_world_needs_no_torch() -> None:
    for file in (PACKAGE / "world").glob("*.py"):
        names = _imports(file)
        assert all(each.split(".")[0] in sys.stdlib_module_names | {"sonar_cli"} for each in names)


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = f"import sys, sonar_cli; print(sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_command_line_imports_nothing_heavy_at_the_top() -> None:
    rooms = ("cli", "hub", "render", "text", "world")
    for file in [each for room in rooms for each in (PACKAGE / room).glob("*.py")]:
        names = _imports(file, top_level=True)
        assert not {each.split(".")[0] for each in names} & set(HEAVY), file.name


@pytest.mark.parametrize(
    "command",
    [
        *("", "continue", "summarize", "encode", "decode", "train", "evaluate"),
        *("bulk", "bulk continue", "bulk summarize", "bulk encode"),
        *("evaluate mini", "evaluate paper"),
        *("models", "models list", "models verify", "cache", "cache info"),
        *("config", "config show", "config path", "doctor", "serve"),
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

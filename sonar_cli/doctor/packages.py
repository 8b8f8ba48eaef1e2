"""Versions: sonar-llm's, Python's, those of the packages that it needs, and its extras."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from sonar_cli import __version__
from sonar_cli.doctor.findings import Finding, line

NAME = "sonar-llm"
# What each extra is for.
EXTRAS = {
    "train": "texts from Parquet and the Hub, several processes, drawn curves, TensorBoard",
    "bench": "`bench --against ctranslate2`",
    "parquet": "Parquet for `bulk`",
    "ray": "`bulk --ray`, on several machines",
    "serve": "`serve`, over HTTP",
    "sonar-space": "the original's codec (--codec sonar-space)",
    "dev": "tests, checks, and `evaluate summaries` beside other systems",
}
# Packages whose module has another name.
_MODULES = {"markdown-it-py": "markdown_it"}


def program() -> Iterator[Finding]:
    """Find this program: its version and where it lies."""
    place = Path(__file__).parents[1]
    values = {"version": __version__, "place": str(place)}
    yield Finding(NAME, "good", f"{__version__}, in {place}", values=values)
    try:
        metadata.version(NAME)
    except metadata.PackageNotFoundError:
        yield Finding(
            "metadata", "missing",
            "it was not installed by pip, so the packages that it needs are not known",
            "pip install '.' where its pyproject.toml lies",
        )  # fmt: skip


def python() -> Iterator[Finding]:
    """Find the Python that runs this, its version and whether we know it to do."""
    version = platform.python_version()
    found = f"{version} ({platform.python_implementation()}), {sys.executable}"
    values = {"version": version, "place": sys.executable, "system": platform.platform()}
    wanted = SpecifierSet(_metadata("Requires-Python"))
    if wanted.contains(version, prereleases=True):
        yield Finding("Python", "good", f"{found}, on {platform.platform()}", values=values)
    else:
        remedy = f"make an environment with Python {wanted} and install {NAME} there"
        yield Finding("Python", "wrong", f"{found}; {wanted} is needed", remedy, values)


def needed() -> Iterator[Finding]:
    """Find each package that is needed: whether it is there, in our range, and can be imported."""
    for each in _requirements(""):
        yield _package(each)


def extras() -> Iterator[Finding]:
    """Find our own codec, and each extra: whether its packages are there, and what it is for."""
    yield Finding("native", "good", "our own codec (--codec native), which needs no extra")
    for extra in _all("Provides-Extra"):
        lacking = [text for each in _requirements(extra) if (text := _lack(each))]
        purpose = EXTRAS.get(extra, "")
        values = {"for": purpose, "lacks": lacking}
        if not lacking:
            yield Finding(extra, "good", f"installed: {purpose}", values=values)
            continue
        found = f"for {purpose}; not here: {', '.join(lacking)}"
        yield Finding(extra, "missing", found, f"pip install '{NAME}[{extra}]'", values)


def torch_build() -> str:
    """Return what torch was built for."""
    import torch

    if torch.version.cuda is not None:
        return f"CUDA {torch.version.cuda}"
    return f"ROCm {torch.version.hip}" if torch.version.hip is not None else "the CPU"


def _package(each: Requirement) -> Finding:
    remedy = f"pip install '{each.name}{each.specifier}'"
    version = _version(each.name)
    if version is None:
        return Finding(each.name, "wrong", f"not installed; {each.specifier} is needed", remedy)
    values = {"version": version}
    if not each.specifier.contains(version, prereleases=True):
        found = f"{version}, but {each.specifier} is needed"
        return Finding(each.name, "wrong", found, remedy, values)
    try:
        import_module(_MODULES.get(each.name, each.name.replace("-", "_")))
        if each.name == "torch":
            build = torch_build()
            found = f"{version}, built for {build}"
            return Finding("torch", "good", found, values={**values, "build": build})
    except (Exception, SystemExit) as error:
        found = f"{version} is installed but cannot be imported ({line(error)})"
        remedy = f"pip install --force-reinstall '{each.name}{each.specifier}'"
        return Finding(each.name, "wrong", found, remedy, values)
    return Finding(each.name, "good", version, values=values)


def _lack(each: Requirement) -> str:
    """Return a package of an extra that is not there or of another version; empty if it is good."""
    version = _version(each.name)
    if version is None:
        return each.name
    fits = each.specifier.contains(version, prereleases=True)
    return "" if fits else f"{each.name}{each.specifier} (but {version})"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements(extra: str) -> list[Requirement]:
    """Return what is needed on this machine always, or for an extra alone."""
    every = [Requirement(text) for text in _all("Requires-Dist")]
    for each in every:
        each.name = canonicalize_name(each.name)
    held = [each for each in every if each.marker is None or each.marker.evaluate({"extra": extra})]
    return [each for each in held if ("extra" in str(each.marker)) is bool(extra)]


def _metadata(field: str) -> str:
    return next(iter(_all(field)), "")


def _all(field: str) -> list[str]:
    try:
        return metadata.metadata(NAME).get_all(field) or []
    except metadata.PackageNotFoundError:
        return []

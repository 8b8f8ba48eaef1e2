"""Where files are kept: the caches, their sizes, whether they can be written to, free disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sonar_cli.doctor.findings import Finding
from sonar_cli.doctor.machine import gigabytes

# Bytes that have to be free: less would not hold the vectors of one long text (a vector of SONAR's
# has 4,096 bytes) or the files that SQLite makes beside them.
_NEEDED = 100_000_000


def vectors(folder: Path | None) -> Iterator[Finding]:
    """Find the cache of vectors, in its own folder or another."""
    from sonar_cli.summary import cache

    folder = folder or cache.default_folder()
    remedy = "name another folder with --cache-dir (SONAR_LLM_CACHE_DIR), or give --no-cache"
    where = _written("vectors", folder, remedy)
    if where.state == "good":
        found = cache.info(folder)
        where = _with(where, f"{found.vectors} vectors", found.bytes)
    yield where


def int8() -> Iterator[Finding]:
    """Find the int8 weights of models whose own folder cannot be written to."""
    from sonar_cli.model.fast.int8_file import default_folder

    folder = default_folder()
    files = list(folder.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in files)
    found = _written("int8 weights", folder, "leave out --dtype int8")
    yield _with(found, f"{len(files)} files", size) if found.state == "good" else found


def hub() -> Iterator[Finding]:
    """Find the Hub's cache, where downloaded models lie; one for reading alone does offline."""
    from sonar_cli.hub import store
    from sonar_cli.hub.download import is_offline

    folder = store.cache()
    found = _written("Hub", folder, "name another folder with HF_HOME")
    if found.state == "good" or (is_offline() and folder.is_dir()):
        what = "downloaded models" if found.state == "good" else "for reading alone, and offline"
        found = _with(_place("Hub", folder), what, store.size())
    yield found


def _place(name: str, folder: Path) -> Finding:
    free = shutil.disk_usage(_existing(folder)).free
    values = {"place": str(folder), "free_bytes": free}
    return Finding(name, "good", str(folder), values=values)


def _written(name: str, folder: Path, remedy: str) -> Finding:
    """Find a folder: good if files can be written there, or in the folder it would be made in."""
    found = _place(name, folder)
    problem = _unwritable(folder)
    if problem:
        what = f"{folder} cannot be written to ({problem})"
        return Finding(name, "wrong", what, f"make it writable, or {remedy}", found.values)
    free = found.values["free_bytes"]
    if free < _NEEDED:
        what = f"{folder}: the disk is full, {gigabytes(free)} are free"
        return Finding(name, "wrong", what, f"free some space, or {remedy}", found.values)
    return found


def _with(found: Finding, what: str, size: int) -> Finding:
    free = gigabytes(found.values["free_bytes"])
    text = f"{found.found}: {what}, {gigabytes(size)}; {free} free on its disk"
    return Finding(found.name, "good", text, values={**found.values, "bytes": size})


def _unwritable(folder: Path) -> str:
    """Return why no file can be written in a folder, empty if one can."""
    try:
        with tempfile.TemporaryFile(dir=_existing(folder)) as file:
            file.write(b"1")
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.absolute().parents) if each.exists())

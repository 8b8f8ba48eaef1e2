"""The lock file: what was downloaded, at which commit, with which sizes and hashes.

It is one JSON file in the user's cache folder. With it a model can be checked without a network,
and it is known which models share a codec.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sonar_cli.errors import CheckpointError
from sonar_cli.hub import hashes
from sonar_cli.hub.store import Stated
from sonar_cli.model.shapes import read_json
from sonar_cli.model.whole import replacing

# Version of the file's contents; a file of another one is begun anew.
_FORMAT = 1


@dataclass(frozen=True)
class Locked:
    """What is known of a file at a commit: its size in bytes and its SHA-256."""

    size: int
    sha256: str


def path() -> Path:
    """Return the place of the lock file."""
    from platformdirs import user_cache_path

    return user_cache_path("sonar-llm", False) / "models.json"


def remember(file: Stated) -> None:
    """Write down a file that was just downloaded and checked."""
    size = file.place.stat().st_size
    sha256 = file.etag if hashes.SHA256.fullmatch(file.etag) else hashes.sha256(file.place)

    def add(found: dict[str, Any]) -> None:
        commits = found["files"].setdefault(file.repository, {})
        commits.setdefault(file.commit, {})[file.name] = asdict(Locked(size, sha256))

    _change(add)


def remember_model(predictor: str, parts: Mapping[str, str]) -> None:
    """Write down from which repositories a predictor takes the parts of its codec."""
    _change(lambda found: found["models"].update({predictor: dict(parts)}))


def forget(repository: str) -> None:
    """Drop all that is known of a repository."""

    def drop(found: dict[str, Any]) -> None:
        for table in ("files", "models"):
            found[table].pop(repository, None)

    _change(drop)


def locked(repository: str, commit: str, name: str) -> Locked | None:
    """Return what is known of a file, or None."""
    found = _read()["files"].get(repository, {}).get(commit, {}).get(name)
    return Locked(int(found["size"]), str(found["sha256"])) if found else None


def models() -> dict[str, dict[str, str]]:
    """Return predictors' repositories, each with those of its codec's parts."""
    return dict(_read()["models"])


def _read() -> dict[str, Any]:
    with suppress(CheckpointError):
        found = read_json(path())
        if found.get("format") == _FORMAT:
            return found
    return {"format": _FORMAT, "files": {}, "models": {}}


def _change(change: Callable[[dict[str, Any]], None]) -> None:
    """Read the file, change it and write it whole; where that cannot be, checks know less."""
    from huggingface_hub.utils import WeakFileLock

    file = path()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(file.with_suffix(".lock")):
            found = _read()
            change(found)
            with replacing(file) as whole:
                whole.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

"""What of the named models is on this machine, part by part; the network is not asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sonar_cli.hub.catalogue import (
    CODEC_BYTES,
    EMBEDDED,
    PUBLISHED,
    SONAR_TERMS,
    summary_training,
)
from sonar_cli.hub.resolve import parts_here
from sonar_cli.model.names import CONFIG, LANGUAGE_FILES, WEIGHTS
from sonar_cli.model.weights import locate
from sonar_cli.options import MINI


@dataclass(frozen=True)
class KnownModel:
    """A named model, as `models list` shows it.

    `present` tells that all its files are on this machine, `here` which of its parts are.
    `summaries` tells that it can write summaries. `on_disk` is in bytes, a codec that several
    models share included; `to_download` is how many bytes are still to come, about.
    """

    name: str
    source: str
    parameters: str
    present: bool
    summaries: bool
    licence: str
    on_disk: int
    to_download: int
    here: tuple[str, ...]


def known() -> tuple[KnownModel, ...]:
    """Return all named models, and what of them is on this machine."""
    return (_mini(), *map(_published, PUBLISHED))


def _mini() -> KnownModel:
    own = summary_training(MINI, EMBEDDED / "predictor") is not None
    size = sum(file.stat().st_size for file in EMBEDDED.rglob("*") if file.is_file())
    parts = ("predictor", "encoder", "decoder", "tokenizer")
    return KnownModel(
        MINI, "in the package", "8 M with its codec", True, own, "MIT", size, 0, parts
    )


def _published(name: str) -> KnownModel:
    model = PUBLISHED[name]
    paths = parts_here(name)
    here = {part: path for part, path in paths.items() if path is not None}
    files = {file.resolve() for part, path in here.items() for file in _files(part, path)}
    sizes = {"predictor": model.bytes, **CODEC_BYTES}
    return KnownModel(
        name=name,
        source=model.repository,
        parameters=model.parameters,
        present=len(here) == len(paths),
        summaries=model.summaries,
        licence=SONAR_TERMS,
        on_disk=sum(file.stat().st_size for file in files),
        to_download=sum(size for part, size in sizes.items() if part not in here),
        here=tuple(here),
    )


def _files(part: str, path: Path) -> Iterator[Path]:
    """Yield the files of a part that are read."""
    folder = path if path.is_dir() else path.parent
    names = [CONFIG, *(f"{name}.index.json" for name in WEIGHTS)]
    if part == "tokenizer":
        names = [*LANGUAGE_FILES]
    beside = (folder / name for name in names)
    yield from (file for file in (*locate(path), *beside) if file.is_file())

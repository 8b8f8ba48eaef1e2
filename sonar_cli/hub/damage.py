"""Whether cached files are still what the Hub stated; what is not can be removed, to come again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sonar_cli.hub import hashes, lock, store
from sonar_cli.options import ModelPaths


@dataclass(frozen=True)
class CachedFile:
    """A file of a repository in the cache; its content is checked against `etag` or the lock."""

    repository: str
    commit: str
    path: Path

    @property
    def etag(self) -> str | None:
        """The hash that the Hub stated, by which the cache names contents; None without links."""
        if self.path.is_symlink():
            return Path(os.readlink(self.path)).name
        return None

    @property
    def locked(self) -> lock.Locked | None:
        """What the lock file knows of it."""
        return lock.locked(self.repository, self.commit, self.path.name)


@dataclass(frozen=True)
class Damage:
    """A file that differs from what the Hub stated, and how."""

    file: CachedFile
    how: str

    def __str__(self) -> str:
        return f"{self.file.path} {self.how}"


def cached_files(paths: ModelPaths) -> list[CachedFile]:
    """Return the files of a model that came from the Hub and that something is known of."""
    parts = (paths.predictor, paths.encoder, paths.decoder, paths.tokenizer)
    folders = {each if each.is_dir() else each.parent for each in parts if each is not None}
    return sorted(
        (file for folder in folders for file in _in_snapshot(folder)), key=lambda file: file.path
    )


def files_of(repository: str) -> list[CachedFile]:
    """Return the files of a repository's newest commit that is here."""
    return list(_in_snapshot(store.snapshot(repository)))


def damages(
    files: Iterable[CachedFile], on_bytes: Callable[[int], None] = lambda count: None
) -> Iterator[Damage]:
    """Yield the files that differ; `on_bytes` is told how many bytes were read of each piece."""
    for file in files:
        if how := _difference(file, on_bytes):
            yield Damage(file, how)


def remove(file: CachedFile) -> None:
    """Delete a file and its content from the cache, so that it is downloaded again."""
    content = file.path.resolve()
    file.path.unlink(missing_ok=True)
    content.unlink(missing_ok=True)


def _difference(file: CachedFile, on_bytes: Callable[[int], None]) -> str:
    """Return how a file differs from what was stated, "" if it does not."""
    if not file.path.exists():
        return "has lost its content"
    size, locked, etag = file.path.stat().st_size, file.locked, file.etag
    if locked and locked.size != size:
        return f"has {size} bytes, but should have {locked.size}"
    expected = etag if etag and hashes.is_hash(etag) else locked.sha256 if locked else None
    if expected and hashes.digest(file.path, expected, on_bytes) != expected:
        return f"has other bytes than the Hub stated ({expected[:12]}…)"
    return ""


def _in_snapshot(folder: Path) -> Iterator[CachedFile]:
    origin = store.origin(folder)
    if origin is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        file = CachedFile(*origin, path)
        if not path.is_dir() and (file.etag or file.locked):
            yield file

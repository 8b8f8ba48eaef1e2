"""huggingface_hub's cache on this disk: where a file lies, and how one is put there.

The layout is the library's documented one: `blobs/` holds contents named by their hash,
`snapshots/` a folder of links a commit, `refs/` the commit of each branch, `.no_exist/` names that
the Hub does not have. So other programs find what is put there, and this one finds theirs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sonar_cli.model.whole import replacing

BRANCH = "main"
# A partial file that nothing was written to for so many seconds, a day, belongs to no download.
_ABANDONED = 86_400


@dataclass(frozen=True)
class Stated:
    """What the Hub states of a file: `size` in bytes (None if not said) and its hash, the `etag`.

    The hash is a SHA-256 of 64 digits, or for small files git's SHA-1 of 40.
    """

    repository: str
    name: str
    commit: str
    etag: str
    size: int | None

    @property
    def blob(self) -> Path:
        """Where the content lies once it is complete."""
        return folder(self.repository) / "blobs" / self.etag

    @property
    def partial(self) -> Path:
        """Where the content grows; the name is the same in each run, so that one can go on."""
        return self.blob.with_name(f"{self.etag}.incomplete")

    @property
    def place(self) -> Path:
        """Where the file is read."""
        return folder(self.repository) / "snapshots" / self.commit / self.name

    @property
    def missing(self) -> int:
        """The bytes that are still to be downloaded, as far as they are known."""
        if self.blob.exists() or self.size is None:
            return 0
        return max(0, self.size - _size(self.partial))


def cache() -> Path:
    """Return the folder of the library's cache, which may not be there yet."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def size() -> int:
    """Return how many bytes the files in the cache have, of all programs."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return scan_cache_dir(cache()).size_on_disk
    except CacheNotFound:
        return 0


def folder(repository: str) -> Path:
    """Return a repository's folder in the cache, which need not be there."""
    return cache() / f"models--{repository.replace('/', '--')}"


def snapshot(repository: str) -> Path:
    """Return the folder of a repository's newest commit that is known, which need not be there."""
    ref = folder(repository) / "refs" / BRANCH
    commit = ref.read_text().strip() if ref.is_file() else ""
    return folder(repository) / "snapshots" / (commit or "none")


def origin(path: Path) -> tuple[str, str] | None:
    """Return the repository and commit of a snapshot's folder, or None for any other place."""
    owner, commit = path.parent.parent, path.name
    if owner.parent != cache() or path.parent.name != "snapshots":
        return None
    return owner.name.removeprefix("models--").replace("--", "/"), commit


def cached(repository: str, name: str) -> Path | None:
    """Return a file of a repository, or None if it is not here."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None


def is_missing(repository: str, name: str) -> bool:
    """Tell whether a repository is known not to have a file."""
    from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

    return try_to_load_from_cache(repository, name) is _CACHED_NO_EXIST


def remember_missing(repository: str, name: str, commit: str) -> None:
    """Remember that a repository has no such file at a commit."""
    _refer(repository, commit)
    note = folder(repository) / ".no_exist" / commit / name
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()


def put(file: Stated) -> Path:
    """Make a complete content readable under the file's name, and return that place.

    Where there are no symbolic links the content itself is moved there.
    """
    place = file.place
    place.parent.mkdir(parents=True, exist_ok=True)
    _refer(file.repository, file.commit)
    if place.exists():
        return place
    place.unlink(missing_ok=True)
    try:
        place.symlink_to(os.path.relpath(file.blob, place.parent))
    except OSError:
        os.replace(file.blob, place)
    return place


@contextmanager
def alone(file: Stated) -> Iterator[None]:
    """Let no other process download the same content; the library's own downloads wait as well."""
    from huggingface_hub.utils import WeakFileLock

    owner = folder(file.repository)
    lock = owner.parent / ".locks" / owner.name / f"{file.etag}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    file.blob.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        yield


def clear_abandoned(file: Stated) -> None:
    """Delete the partial files beside a file's own that no download has written to for a day."""
    for each in file.partial.parent.glob("*.incomplete"):
        with suppress(OSError):  # another process may have deleted it
            if each != file.partial and time.time() - each.stat().st_mtime > _ABANDONED:
                each.unlink()


def _refer(repository: str, commit: str) -> None:
    """Write down that a commit is the branch's newest that is known."""
    ref = folder(repository) / "refs" / BRANCH
    ref.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        if ref.read_text() == commit:
            return
    with replacing(ref) as file:
        file.write_text(commit)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0

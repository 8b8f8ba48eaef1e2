"""Remove models from the cache; a codec stays while another model that is here needs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sonar_cli.errors import CheckpointError, DownloadError, UsageError
from sonar_cli.hub import lock, store
from sonar_cli.hub.catalogue import META_SONAR, PUBLISHED, SONAR, published
from sonar_cli.hub.resolve import repository_of
from sonar_cli.model.names import CONFIG, LANGUAGE_FILES, TOKENIZER_FILES
from sonar_cli.model.shapes import read_json
from sonar_cli.options import MINI


@dataclass(frozen=True)
class Removal:
    """What is to be removed: repositories with their bytes; and which model needs the codec."""

    repositories: dict[str, int]
    needed_by: str | None

    @property
    def bytes(self) -> int:
        """The bytes that will be free."""
        return sum(self.repositories.values())


def plan(names: Sequence[str]) -> Removal:
    """Return what removing these models removes.

    Raises UsageError for `mini`, for a folder and for an unknown name, and DownloadError for a
    model of which nothing is here.
    """
    wanted = list(dict.fromkeys(map(_repository, names)))
    others = [each for each in predictors() if each not in wanted]
    codec = [] if others else [each for each in SONAR if _is_codec_alone(each)]
    there = {each: _bytes(store.folder(each)) for each in (*wanted, *codec)}
    found = {each: size for each, size in there.items() if store.folder(each).is_dir()}
    absent = [each for each in wanted if each not in found]
    if absent and not (set(found) & set(SONAR)):
        raise DownloadError(f"{absent[0]} is not in the cache; there is nothing to remove")
    return Removal(found, _name(others[0]) if others else None)


def remove(removal: Removal) -> None:
    """Delete the repositories from the cache, and what the lock file knows of them."""
    from huggingface_hub import scan_cache_dir

    if not store.cache().is_dir():
        return
    scanned = scan_cache_dir(store.cache())
    commits = [
        revision.commit_hash
        for repository in scanned.repos
        if repository.repo_type == "model" and repository.repo_id in removal.repositories
        for revision in repository.revisions
    ]
    if commits:
        scanned.delete_revisions(*commits).execute()
    for repository in removal.repositories:
        # What the library does not count to it, such as partial files and int8 weights.
        shutil.rmtree(store.folder(repository), ignore_errors=True)
        lock.forget(repository)


def predictors() -> Iterator[str]:
    """Yield the repositories of predictors of which weights are here."""
    for config in sorted(store.cache().glob(f"models--*--*/snapshots/*/{CONFIG}")):
        try:
            is_one = "llama_config" in read_json(config)
        except CheckpointError:
            continue
        if is_one and any(each.name != CONFIG for each in config.parent.iterdir()):
            yield config.parents[2].name.removeprefix("models--").replace("--", "/")


def _repository(name: str) -> str:
    if name == MINI:
        raise UsageError(f"{MINI} is inside the package and cannot be removed")
    if Path(name).expanduser().exists():
        raise UsageError(f"{name} is a file or folder of yours; remove it yourself")
    return repository_of(name)


def _is_codec_alone(repository: str) -> bool:
    """Tell whether nothing but the codec is here of a repository.

    Meta's has other decoders and encoders as well, which may have been got for something else.
    """
    if repository != META_SONAR:
        return True
    names = {each.name for each in store.folder(repository).glob("snapshots/*/*")}
    return names <= {*TOKENIZER_FILES, *LANGUAGE_FILES, CONFIG}


def _name(repository: str) -> str:
    if published(repository) is None:
        return repository
    return next(name for name, each in PUBLISHED.items() if each.repository == repository)


def _bytes(folder: Path) -> int:
    """Return the size of a repository's contents, and of files beside the links to them."""
    contents = [*folder.glob("blobs/*"), *folder.glob("snapshots/**/*")]
    files = (each for each in contents if each.is_file())
    real = {each.resolve() for each in files}
    return sum(each.stat().st_size for each in real)

"""Which files of Hub repositories are read, and getting those that are not here.

Only the files that are needed are downloaded, never a repository's code. A cached file is used
without asking the Hub for a newer one. First all are looked up, small ones with their content; then
`fetch` gets the others together, so that it is known before how much there is to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sonar_cli.errors import DownloadError
from sonar_cli.hub import lock, store, transfer
from sonar_cli.hub.answers import NoSuchFile
from sonar_cli.hub.space import check_space
from sonar_cli.hub.store import Stated
from sonar_cli.hub.transfer import Notify
from sonar_cli.model.names import (
    CONFIG,
    LANGUAGE_FILES,
    META_WEIGHTS,
    TOKENIZER_FILES,
    TOKENIZER_JSON,
    WEIGHTS,
)
from sonar_cli.model.weights import shards
from sonar_cli.options import MINI

# Told which file is coming and how many bytes of all files are here.
Shown = Callable[[str, int], None]
# Called with the number of bytes of all files.
Display = Callable[[int], AbstractContextManager[Shown]]


@contextmanager
def unseen(total: int) -> Iterator[Shown]:
    """Show nothing of a download."""
    yield lambda name, done: None


@dataclass(frozen=True)
class Watcher:
    """Who is told of downloads: `notify` what a user should know, a line each; `display` bytes."""

    notify: Notify = lambda line: None
    display: Display = unseen


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE forbids downloads."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


class Hub:
    """The Hugging Face Hub.

    `offline` forbids downloads. All methods that look for files raise DownloadError if one is not
    in the cache and cannot be downloaded; those that are still to come by `fetch` are `missing`.
    """

    def __init__(self, offline: bool, watcher: Watcher | None = None) -> None:
        self.offline = offline
        self.watcher = watcher or Watcher()
        self.missing: dict[tuple[str, str], Stated] = {}

    def model(self, repository: str, own_config: bool = False) -> Path:
        """Return the folder of a repository's weights, and of its config unless `own_config`."""
        if not own_config:
            self._first(repository, (CONFIG,), self._file)
        weights = self._cached_weights(repository)
        return (weights or self._first(repository, WEIGHTS, self._weights)).parent

    def half(self, repository: str, part: str, file: str = "") -> Path:
        """Return the weights of a codec's "encoder" or "decoder", and get its config if it has one.

        They are a folder or, under Meta's own names, a file. `file` names another one.
        """
        if file:
            return self._first(repository, (file,), self._file)
        if not store.is_missing(repository, CONFIG):
            with suppress(NoSuchFile):
                self._file(repository, CONFIG)
        names = (*WEIGHTS, *META_WEIGHTS[part])
        weights = self._cached_weights(repository, names)
        weights = weights or self._first(repository, names, self._weights)
        return weights if weights.suffix == ".pt" else weights.parent

    def tokenizer(self, repository: str, file: str = "") -> Path | None:
        """Return a repository's tokenizer, None without one; get the files that list languages.

        A file that was missing before is not asked for again. `file` names another one.
        """
        names = (file,) if file else TOKENIZER_FILES
        cached = (store.cached(repository, name) for name in names)
        found = next((path for path in cached if path), None)
        for name in names:
            if found is None and not store.is_missing(repository, name):
                with suppress(NoSuchFile):
                    found = self._file(repository, name)
        if found:
            for name in LANGUAGE_FILES:
                self._optional(repository, name)
        return found

    def fetch(self) -> None:
        """Download all files that are missing, together.

        Raises DownloadError if the disk has no room for them, or if one cannot be had.
        """
        files = list(self.missing.values())
        if not files:
            return
        check_space(files)
        done = 0
        with self.watcher.display(sum(file.size or 0 for file in files)) as show:
            for file in files:
                self._get(file, _following(show, f"{file.name} of {file.repository}", done))
                done += file.size or 0
        self.missing.clear()

    def has_model(self, repository: str) -> bool:
        """Tell whether a repository's weights are in the cache."""
        names = (*WEIGHTS, *(name for each in META_WEIGHTS.values() for name in each))
        return self._cached_weights(repository, names) is not None

    def _weights(self, repository: str, name: str) -> Path:
        """Return the file of weights, or the index of its shards after getting all of them."""

        try:
            return self._file(repository, name)
        except NoSuchFile:
            if name not in WEIGHTS:
                raise
            index = self._file(repository, f"{name}.index.json")
        for shard in shards(index):
            self._file(repository, shard.name)
        return index

    def _cached_weights(self, repository: str, names: tuple[str, ...] = WEIGHTS) -> Path | None:
        for name in names:
            if found := store.cached(repository, name):
                return found
            index = store.cached(repository, f"{name}.index.json")
            if index and all(shard.exists() for shard in shards(index)):
                return index
        return None

    def _first(
        self, repository: str, names: tuple[str, ...], get: Callable[[str, str], Path]
    ) -> Path:
        """Return the first of the named files that the repository has."""
        for name in names:
            try:
                return get(repository, name)
            except NoSuchFile:
                continue
        raise DownloadError(f"{repository} has no {' or '.join(names)}; is it the right one?")

    def _optional(self, repository: str, name: str) -> None:
        """Get a file if possible, and do not ask again for one that is known to be missing."""
        if not store.is_missing(repository, name):
            with suppress(DownloadError):
                self._file(repository, name)

    def _file(self, repository: str, name: str) -> Path:
        """Return a file's place; its content is there, or still to be fetched if it is large."""
        if found := store.cached(repository, name):
            return found
        if waiting := self.missing.get((repository, name)):
            return waiting.place
        if self.offline or is_offline():
            forbidden = "--offline" if self.offline else "HF_HUB_OFFLINE"
            raise DownloadError(
                f"{repository} is not in the cache and {forbidden} forbids asking for it; run "
                f"once without that, which downloads it, or use -m {MINI}"
            )
        stated = transfer.ask(repository, name, self.watcher.notify)
        if name.endswith(".json") and name != TOKENIZER_JSON:
            self._get(stated)
        else:
            self.missing[repository, name] = stated
        return stated.place

    def _get(self, file: Stated, on_bytes: transfer.OnBytes = lambda count: None) -> None:
        transfer.fetch(file, self.watcher.notify, on_bytes)
        lock.remember(file)


def _following(show: Shown, label: str, before: int) -> transfer.OnBytes:
    """Return what is told of a file's bytes, and shows them behind those of the files before."""
    show(label, before)
    return lambda count: show(label, before + count)

"""Download files of Hub repositories, one by one, with huggingface_hub into its own cache.

Only the files that are needed are downloaded, never a repository's code. A cached file is used
without asking the Hub for a newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sonar_cli.errors import DownloadError
from sonar_cli.model.names import (
    CONFIG,
    LANGUAGE_FILES,
    META_WEIGHTS,
    TOKENIZER_FILES,
    WEIGHTS,
)
from sonar_cli.model.weights import shards
from sonar_cli.options import MINI


def cache_folder() -> Path:
    """Return the folder of huggingface_hub's cache, which may not be there yet."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def cached_bytes() -> int:
    """Return how many bytes the files in huggingface_hub's cache have, of all programs."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return scan_cache_dir().size_on_disk
    except CacheNotFound:
        return 0


def is_offline() -> bool:
    """Tell whether HF_HUB_OFFLINE forbids downloads."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


class Hub:
    """The Hugging Face Hub.

    `offline` forbids downloads, `progress` shows them on stderr. All methods that download raise
    DownloadError if a file is not in the cache and cannot be downloaded.
    """

    def __init__(self, offline: bool, progress: bool) -> None:
        self.offline = offline
        self.progress = progress

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
        from huggingface_hub.errors import EntryNotFoundError

        if file:
            return self._first(repository, (file,), self._file)
        if not self._is_missing(repository, CONFIG):
            with suppress(EntryNotFoundError):
                self._file(repository, CONFIG)
        names = (*WEIGHTS, *META_WEIGHTS[part])
        weights = self._cached_weights(repository, names)
        weights = weights or self._first(repository, names, self._weights)
        return weights if weights.suffix == ".pt" else weights.parent

    def tokenizer(self, repository: str, file: str = "") -> Path | None:
        """Return a repository's tokenizer, None without one; get the files that list languages.

        A file that was missing before is not asked for again. `file` names another one.
        """
        from huggingface_hub.errors import EntryNotFoundError

        names = (file,) if file else TOKENIZER_FILES
        cached = (self._cached(repository, name) for name in names)
        found = next((path for path in cached if path), None)
        for name in names:
            if found is None and not self._is_missing(repository, name):
                with suppress(EntryNotFoundError):
                    found = self._file(repository, name)
        if found:
            for name in LANGUAGE_FILES:
                self._optional(repository, name)
        return found

    def has_model(self, repository: str) -> bool:
        """Tell whether a repository's weights are in the cache."""
        return self._cached_weights(repository) is not None

    def _weights(self, repository: str, name: str) -> Path:
        """Return the file of weights, or the index of its shards after getting all of them."""
        from huggingface_hub.errors import EntryNotFoundError

        try:
            return self._file(repository, name)
        except EntryNotFoundError:
            if name not in WEIGHTS:
                raise
            index = self._file(repository, f"{name}.index.json")
        for shard in shards(index):
            self._file(repository, shard.name)
        return index

    def _cached_weights(self, repository: str, names: tuple[str, ...] = WEIGHTS) -> Path | None:
        for name in names:
            if found := self._cached(repository, name):
                return found
            index = self._cached(repository, f"{name}.index.json")
            if index and all(shard.exists() for shard in shards(index)):
                return index
        return None

    def _first(
        self, repository: str, names: tuple[str, ...], get: Callable[[str, str], Path]
    ) -> Path:
        """Return the first of the named files that the repository has."""
        from huggingface_hub.errors import EntryNotFoundError

        for name in names:
            try:
                return get(repository, name)
            except EntryNotFoundError:
                continue
        raise DownloadError(f"{repository} has no {' or '.join(names)}; is it the right one?")

    def _optional(self, repository: str, name: str) -> None:
        """Get a file if possible, and do not ask again for one that is known to be missing."""
        from huggingface_hub.errors import EntryNotFoundError

        if not self._is_missing(repository, name):
            with suppress(EntryNotFoundError, DownloadError):
                self._file(repository, name)

    def _is_missing(self, repository: str, name: str) -> bool:
        """Tell whether the repository is known not to have a file."""
        from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

        return try_to_load_from_cache(repository, name) is _CACHED_NO_EXIST

    def _cached(self, repository: str, name: str) -> Path | None:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(repository, name)
        return Path(found) if isinstance(found, str) else None

    def _file(self, repository: str, name: str) -> Path:
        """Return a file from the cache, or download it, resuming an interrupted download."""
        if found := self._cached(repository, name):
            return found
        from huggingface_hub import constants, hf_hub_download, logging
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
        from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars

        if self.offline or constants.HF_HUB_OFFLINE:
            forbidden = "--offline" if self.offline else "HF_HUB_OFFLINE"
            raise DownloadError(
                f"{repository} is not in the cache and {forbidden} forbids asking for it; run "
                f"once without that, which downloads it, or use -m {MINI}"
            )
        _check_network(repository, name)
        logging.set_verbosity_error()
        (enable_progress_bars if self.progress else disable_progress_bars)()
        try:
            return Path(hf_hub_download(repository, name))
        except LocalEntryNotFoundError as error:
            raise DownloadError(_unreachable(repository, name)) from error
        except EntryNotFoundError:
            raise
        except Exception as error:  # errors of the HTTP library, which differs between versions
            raise DownloadError(_failed(repository, name, error)) from error


@lru_cache(maxsize=1)
def _network() -> bool:
    """Tell whether the Hub is reachable; huggingface_hub itself would retry for half a minute."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    from huggingface_hub import constants

    address = urlsplit(constants.ENDPOINT)
    if address.scheme in getproxies():
        return True
    port = address.port or (443 if address.scheme == "https" else 80)
    try:  # for 10 seconds
        socket.create_connection((address.hostname or "", port), timeout=10).close()
    except OSError:
        return False
    return True


def _check_network(repository: str, name: str) -> None:
    if not _network():
        raise DownloadError(_unreachable(repository, name))


def _unreachable(repository: str, name: str) -> str:
    return (
        f"could not get {name} of {repository}: the Hub cannot be reached and the file is not in "
        f"the cache; -m {MINI} and local paths work without a network"
    )


def _failed(repository: str, name: str, error: Exception) -> str:
    from huggingface_hub.errors import RepositoryNotFoundError

    if isinstance(error, RepositoryNotFoundError):
        return f"there is no repository {repository} on the Hub, or it is private; check the name"
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
    return (
        f"could not get {name} of {repository} ({reason}); run it again to go on where it "
        f"stopped, or use -m {MINI}"
    )

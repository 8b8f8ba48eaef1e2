"""Vectors of sentences that were encoded before: one SQLite file, least recently used out first.

A vector is kept under a digest of the codec, the language and the sentence, so an edited document
encodes only what changed and an interrupted run goes on. The sentences themselves are not stored,
but a decoder turns a vector back into its sentence: the folder is the user's alone.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sonar_cli.errors import CacheError

FILE = "vectors.sqlite"
# What SQLite makes beside the file while it is open.
_BESIDE = ("-wal", "-shm", "-journal")
_FORMAT = 1
# Values one query may name; SQLite's own limit was 999 for long.
_QUERY = 500
# So much is freed at once when the file is full, that not every write has to.
_FREED = 0.1

# Rows follow each other as they come; only the small index of keys is written here and there.
_TABLES = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL, used INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON vectors (used);
"""


@dataclass(frozen=True)
class CacheInfo:
    """Where the cache lies, how many vectors it holds and how many bytes it takes."""

    path: str
    vectors: int
    bytes: int


def default_folder() -> Path:
    """Return the folder of this user's caches, as the platform has it."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("sonar-llm", appauthor=False))


def key(codec: str, lang: str, text: str) -> bytes:
    """Return the 16 bytes under which a sentence's vector is kept.

    >>> key("a", "eng_Latn", "Hello.") == key("a", "deu_Latn", "Hello.")
    False
    """
    parts = "\0".join((codec, lang, text)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(parts, digest_size=16).digest()


def files_identity(*paths: Path) -> str:
    """Tell files apart without reading them: where each really lies, its size, when it was written.

    A folder stands for the files in it. Files of the Hub's cache lie under their content's digest.
    """
    found = []
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            real = file.resolve()
            if real.is_file():
                state = real.stat()
                found.append(f"{real}:{state.st_size}:{state.st_mtime_ns}")
    return "|".join(found)


class VectorCache:
    """Vectors by key, as bytes. Its methods raise CacheError where the disk or the file fails.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, opened(Path(folder), 10**6) as cache:
    ...     cache.put({b"a": b"1234"})
    ...     cache.get([b"a", b"b"])
    {b'a': b'1234'}
    """

    def __init__(self, database: sqlite3.Connection, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        with _cache_errors():
            (last,) = database.execute("SELECT coalesce(max(used), 0) FROM vectors").fetchone()
        # A use is dated by the run it was in, so that a run's own vectors are the newest.
        self._run = last + 1

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those that are there, and mark them as used."""
        with _cache_errors():
            found = dict(chain.from_iterable(self._select(each) for each in _pieces(keys)))
        used = [(self._run, each) for each in found]
        with _cache_errors(), self._database:
            self._database.executemany(
                "UPDATE vectors SET used = ?1 WHERE key = ?2 AND used <> ?1", used
            )
        return found

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep vectors, all or none; where there is no room, those unused for longest go."""
        rows = [(each, vector, self._run) for each, vector in entries.items()]
        with _cache_errors(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            self._make_room()

    def info(self, path: Path) -> CacheInfo:
        """Count what is in it."""
        with _cache_errors():
            (count,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
            return CacheInfo(str(path), count, self._bytes())

    def _select(self, keys: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
        return self._database.execute(query, keys).fetchall()

    def _bytes(self) -> int:
        # Pages that were freed are used again: the file itself never shrinks.
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _make_room(self) -> None:
        if self._bytes() <= self._max_bytes:
            return
        (count,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
        share = 1 - (1 - _FREED) * self._max_bytes / self._bytes()
        self._database.execute(
            "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used LIMIT ?)",
            (int(count * share) + 1,),
        )


@contextmanager
def opened(folder: Path, max_bytes: int) -> Iterator[VectorCache]:
    """Open the cache in a folder, making both where they are missing.

    A file that is no cache, or one of another format, is made anew. Raises CacheError where that
    cannot be.
    """
    with _cache_errors():
        database = _connected(folder)
    with closing(database):
        yield VectorCache(database, max_bytes)


def info(folder: Path) -> CacheInfo:
    """Tell what a folder's cache holds; a folder without one holds nothing."""
    file = folder / FILE
    if not file.exists():
        return CacheInfo(str(file), 0, 0)
    try:
        with opened(folder, 0) as cache:
            return cache.info(file)
    except CacheError as error:
        raise CacheError(f"{file}: {error}; try `sonar-llm cache clear`") from None


def clear(folder: Path) -> int:
    """Delete a folder's cache; return how many bytes that freed."""
    freed = 0
    for ending in ("", *_BESIDE):
        file = folder / (FILE + ending)
        if file.exists():
            freed += file.stat().st_size
            file.unlink()
    return freed


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise CacheError(str(error)) from error


def _pieces(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _QUERY):
        yield keys[start : start + _QUERY]


def _connected(folder: Path) -> sqlite3.Connection:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / FILE
    try:
        return _connect(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        clear(folder)
        return _connect(file)


def _connect(file: Path) -> sqlite3.Connection:
    # Made here, not by SQLite, so that no one else can read it.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(file, timeout=30)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found not in (0, _FORMAT):
            raise sqlite3.DatabaseError(f"format {found}")
        database.executescript(_TABLES)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
    except sqlite3.Error:
        database.close()
        raise
    return database

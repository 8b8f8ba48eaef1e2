"""Vectors of sentences that were encoded before: one SQLite file, bounded, the longest unused out.

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
from pathlib import Path

from sonar_cli.errors import InputError

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
    """Vectors by key, as bytes. Raises sqlite3.Error where the disk or the file will not have it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, opened(Path(folder), 10**6) as cache:
    ...     cache.put({b"a": b"1234"})
    ...     cache.get([b"a", b"b"])
    {b'a': b'1234'}
    """

    def __init__(self, database: sqlite3.Connection, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        (last,) = database.execute("SELECT coalesce(max(used), 0) FROM vectors").fetchone()
        # A use is dated by the run it was in, so that a run's own vectors are the newest.
        self._run = last + 1

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those that are there, and mark them as used."""
        found: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _QUERY):
            some = keys[start : start + _QUERY]
            marks = ",".join("?" * len(some))
            rows = self._database.execute(
                f"SELECT key, vector FROM vectors WHERE key IN ({marks})", some
            )
            found.update(rows.fetchall())
        used = [(self._run, each) for each in found]
        with self._database:
            self._database.executemany(
                "UPDATE vectors SET used = ?1 WHERE key = ?2 AND used <> ?1", used
            )
        return found

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Keep vectors, all or none; where there is no room, those unused for longest go."""
        rows = [(each, vector, self._run) for each, vector in entries.items()]
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            self._make_room()

    def info(self, path: Path) -> CacheInfo:
        """Count what is in it."""
        (count,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
        return CacheInfo(str(path), count, self._bytes())

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

    A file that is no cache, or one of another format, is made anew. Raises sqlite3.Error or OSError
    where that cannot be.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / FILE
    try:
        database = _connect(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        clear(folder)
        database = _connect(file)
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
    except sqlite3.Error as error:
        raise InputError(f"{file}: {error}; try `sonar-llm cache clear`") from None


def clear(folder: Path) -> int:
    """Delete a folder's cache; return how many bytes that freed."""
    freed = 0
    for ending in ("", *_BESIDE):
        file = folder / (FILE + ending)
        if file.exists():
            freed += file.stat().st_size
            file.unlink()
    return freed


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

"""A cache of sentence vectors in one SQLite file, which drops the least recently used first.

A vector's key is a digest of the codec, the language and the sentence. An edited document therefore
encodes only what changed, and an interrupted run continues where it stopped. The sentences are not
stored, but a decoder can turn a vector back into its sentence, so only the user may read the files.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sonar_cli.errors import CacheError

FILE = "vectors.sqlite"
# Endings of the files that SQLite makes beside the database while it is open.
_SIDE_FILES = ("-wal", "-shm", "-journal")
# Version of the tables and of what is stored in them, as SQLite's `user_version`.
_FORMAT = 2
# SQLite's numbers have 63 bits.
_MOST_RUNS = 2**62
# Keys in one query. Older versions of SQLite allow 999 values.
_KEYS_PER_QUERY = 500
# Share of the size limit that is freed when the file is full, so that not every write has to.
_FREED_SHARE = 0.1

# Rows are stored in the order of writing; only the small index of keys is written at random places.
_TABLES = """
CREATE TABLE IF NOT EXISTS vectors (
    key BLOB NOT NULL UNIQUE, vector BLOB NOT NULL, used INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON vectors (used);
"""


@dataclass(frozen=True)
class CacheInfo:
    """The path of the cache's file, the number of its vectors, and its size in bytes."""

    path: str
    vectors: int
    bytes: int


def default_folder() -> Path:
    """Return the platform's folder for this user's caches."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("sonar-llm", appauthor=False))


def key(codec: str, lang: str, text: str) -> bytes:
    """Return the key of a sentence's vector: 16 bytes, a BLAKE2b digest.

    >>> key("a", "eng_Latn", "Hello.") == key("a", "deu_Latn", "Hello.")
    False
    """
    parts = "\0".join((codec, lang, text)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(parts, digest_size=16).digest()


def files_identity(*paths: Path) -> str:
    """Return a string that identifies files without reading them: paths, sizes and write times.

    A folder stands for the files in it. Symbolic links are resolved; in the Hub's cache they lead
    to files that are named by their contents' digest.
    """
    found = []
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            real = Path(os.path.realpath(file))  # which a loop of links does not trouble
            if real.is_file():
                state = real.stat()
                found.append(f"{real}:{state.st_size}:{state.st_mtime_ns}")
    return "|".join(found)


class _Damaged(CacheError):
    """The file is no database any more, or not such a one."""


class _OtherFormat(sqlite3.DatabaseError):
    """The file was made by another version."""


class VectorCache:
    """The cache: vectors as bytes, by key. Its methods raise CacheError if the disk or file fails.

    `damaged` tells that it was the file, which is then deleted when the cache is closed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, opened(Path(folder), 10**6) as cache:
    ...     cache.put({b"a": b"1234"})
    ...     cache.get([b"a", b"b"])
    {b'a': b'1234'}
    """

    def __init__(self, database: sqlite3.Connection, max_bytes: int) -> None:
        self._database = database
        self._max_bytes = max_bytes
        self.damaged = False
        # `used` is the number of the last run that used a vector, so this run's are the newest.
        with self._errors():
            self._run = _last_run(database) + 1

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the vectors of those keys that are in the cache, and mark them as used."""
        with self._errors():
            found = dict(chain.from_iterable(self._select(each) for each in _pieces(keys)))
        used = [(self._run, each) for each in found]
        with self._errors(), self._database:
            self._database.executemany(
                "UPDATE vectors SET used = ?1 WHERE key = ?2 AND used <> ?1", used
            )
        return found

    def put(self, entries: Mapping[bytes, bytes]) -> None:
        """Store all of the vectors or none; drop the least recently used if the cache is full."""
        rows = [(each, vector, self._run) for each, vector in entries.items()]
        with self._errors(), self._database:
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
            self._make_room()

    def info(self, path: Path) -> CacheInfo:
        """Return how many vectors and bytes the cache has; `path` is that of its file."""
        with self._errors():
            (count,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
            return CacheInfo(str(path), count, self._bytes())

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with _cache_errors():
                yield
        except _Damaged:
            self.damaged = True
            raise

    def _select(self, keys: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"
        return self._database.execute(query, keys).fetchall()

    def _bytes(self) -> int:
        # Without free pages: SQLite reuses them, and the file never shrinks.
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _make_room(self) -> None:
        if self._bytes() <= self._max_bytes:
            return
        (count,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
        share = 1 - (1 - _FREED_SHARE) * self._max_bytes / self._bytes()
        self._database.execute(
            "DELETE FROM vectors WHERE key IN (SELECT key FROM vectors ORDER BY used LIMIT ?)",
            (int(count * share) + 1,),
        )


@contextmanager
def opened(
    folder: Path, max_bytes: int, notify: Callable[[str], None] | None = None
) -> Iterator[VectorCache]:
    """Open the cache in a folder, with a limit of `max_bytes`; create both if they are missing.

    A file that is not a cache, or has another format, is replaced by an empty cache; of one that is
    damaged `notify` is told. One whose damage comes up later is deleted in the end, so that it is
    replaced by the next run. Raises CacheError if the file cannot be opened or replaced.
    """
    with _cache_errors():
        database = _connected(folder, notify)
    with closing(database):
        cache = VectorCache(database, max_bytes)
        try:
            yield cache
        finally:
            if cache.damaged:
                database.close()
                clear(folder)


def info(folder: Path) -> CacheInfo:
    """Return the size of the cache in a folder, which is 0 without a cache.

    Raises CacheError if the cache cannot be read.
    """
    file = folder / FILE
    if not file.exists():
        return CacheInfo(str(file), 0, 0)
    try:
        with opened(folder, 0) as cache:
            return cache.info(file)
    except CacheError as error:
        raise CacheError(f"{file}: {error}; try `sonar-llm cache clear`") from None


def clear(folder: Path) -> int:
    """Delete the cache in a folder; return the number of bytes freed. Raises CacheError."""
    freed = 0
    for ending in ("", *_SIDE_FILES):
        file = folder / (FILE + ending)
        try:
            if file.exists():
                freed += file.stat().st_size
                file.unlink()
        except OSError as error:
            raise CacheError(f"{file}: {error.strerror or error}") from error
    return freed


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CacheError(error.strerror or str(error)) from error
    except sqlite3.Error as error:
        if type(error) is sqlite3.DatabaseError:  # not one of its kinds, such as of a locked file
            raise _Damaged("its file is damaged; it is deleted and made anew") from error
        raise CacheError(str(error)) from error


def _pieces(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _KEYS_PER_QUERY):
        yield keys[start : start + _KEYS_PER_QUERY]


def _connected(folder: Path, notify: Callable[[str], None] | None) -> sqlite3.Connection:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / FILE
    try:
        return _connect(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        if notify and not isinstance(error, _OtherFormat):
            notify(f"{file} is damaged or no cache of vectors; it is made anew")
        clear(folder)
        return _connect(file)


def _last_run(database: sqlite3.Connection) -> int:
    """Return the number of the last run; raise sqlite3.DatabaseError where there is none such."""
    (last,) = database.execute("SELECT coalesce(max(used), 0) FROM vectors").fetchone()
    if not isinstance(last, int) or not 0 <= last < _MOST_RUNS:
        raise sqlite3.DatabaseError("no number of a run")
    return last


def _connect(file: Path) -> sqlite3.Connection:
    # Not created by SQLite, so that only the user can read it.
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(file, timeout=30)  # seconds to wait for another process
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found not in (0, _FORMAT):
            raise _OtherFormat
        columns = [row[1] for row in database.execute("PRAGMA table_info(vectors)")]
        if columns not in ([], ["key", "vector", "used"]):
            raise sqlite3.DatabaseError("other columns")
        database.executescript(_TABLES)
        _last_run(database)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
    except sqlite3.Error:
        database.close()
        raise
    return database

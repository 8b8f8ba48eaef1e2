"""Files that grow: arrays that are appended to, and the numbers of sentences seen before."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sonar_cli.errors import SonarError

# NumPy leaves room in the header of one dimension, so that it keeps this length as an array grows.
_HEADER = 128
# In KiB: SQLite's pages in memory.
_CACHE = 64 * 1024


class Growing:
    """A one-dimensional .npy file that is appended to, and whole once it is closed.

    It begins with the first `count` items of what is there; the others are dropped.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     array = Growing(Path(folder) / "a.npy", np.int32)
    ...     array.append([1, 2])
    ...     array.close()
    ...     np.load(Path(folder) / "a.npy")
    array([1, 2], dtype=int32)
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, count: int = 0) -> None:
        self.dtype = np.dtype(dtype)
        self.count = count
        self._file = path.open("r+b" if path.exists() else "w+b")
        if count == 0:
            self._write_header()
        self._file.truncate(_HEADER + count * self.dtype.itemsize)
        self._file.seek(0, io.SEEK_END)

    def append(self, values: npt.ArrayLike) -> None:
        """Add values (n,) at the end."""
        added = np.ascontiguousarray(values, self.dtype)
        self._file.write(added.tobytes())
        self.count += len(added)

    def flush(self) -> None:
        """Hand what was added to the system: it is kept if this process is killed."""
        self._file.flush()

    def close(self) -> None:
        """Write the length into the header and close the file."""
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        made = io.BytesIO()
        about = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.count,)}
        np.lib.format.write_array_header_1_0(made, about)
        assert len(made.getvalue()) == _HEADER
        self._file.seek(0)
        self._file.write(made.getvalue())


class Numbers:
    """Digests (16 bytes each) -> numbers from 0 in the order of their coming, in an SQLite file.

    `save` keeps the numbers given since the last one together with a state, or neither. Raises
    SonarError where another process has the file open.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=1, isolation_level=None)
        try:
            for line in (
                f"PRAGMA cache_size=-{_CACHE}",
                "PRAGMA synchronous=OFF",
                "PRAGMA locking_mode=EXCLUSIVE",
                "BEGIN EXCLUSIVE",
                "CREATE TABLE IF NOT EXISTS numbers (digest PRIMARY KEY, number) WITHOUT ROWID",
                "CREATE TABLE IF NOT EXISTS state (json)",
            ):
                self._database.execute(line)
        except sqlite3.OperationalError as error:
            raise SonarError(f"{path}: {error}; does another process make this corpus?") from None
        (self.count,) = self._database.execute("SELECT count(*) FROM numbers").fetchone()

    def of(self, digests: Iterable[bytes]) -> npt.NDArray[np.int64]:
        """Return the numbers (n,) int64 of n digests; new ones get the next numbers."""
        ask = "SELECT number FROM numbers WHERE digest = ?"
        found = []
        for digest in digests:
            known = self._database.execute(ask, (digest,)).fetchone()
            if known is None:
                known = (self.count,)
                self._database.execute("INSERT INTO numbers VALUES (?, ?)", (digest, self.count))
                self.count += 1
            found.append(known[0])
        return np.array(found, np.int64)

    def load(self) -> Any:
        """Return the state that was saved last, None before the first."""
        row = self._database.execute("SELECT json FROM state").fetchone()
        return row and json.loads(row[0])

    def save(self, state: Any) -> None:
        """Keep a JSON-like state and the numbers."""
        self._database.execute("DELETE FROM state")
        self._database.execute("INSERT INTO state VALUES (?)", (json.dumps(state),))
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Close the file without keeping anything more."""
        self._database.close()

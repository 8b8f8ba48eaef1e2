"""Whether a file's bytes are those that the Hub stated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sonar_cli.model.disk import require_regular

# The Hub states a SHA-256 of large files and git's SHA-1 of small ones; others state other things.
SHA256, GIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
# Bytes read at a time.
_PIECE = 2**22

OnBytes = Callable[[int], None]


def is_hash(etag: str) -> bool:
    """Tell whether a file can be checked against an etag.

    >>> is_hash("0" * 64), is_hash("5f-2")
    (True, False)
    """
    return bool(SHA256.fullmatch(etag) or GIT.fullmatch(etag))


def digest(path: Path, etag: str, on_bytes: OnBytes = lambda count: None) -> str:
    """Return a file's hash of the kind that `etag` is, and tell `on_bytes` what was read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "hello")
    ...     _ = file.write_bytes(b"hello\\n")
    ...     digest(file, "0" * 40)
    'ce013625030ba8dba906f756967f9e9ca394464a'
    """
    if GIT.fullmatch(etag):
        found = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        found = hashlib.sha256()
    for piece in _pieces(path):
        found.update(piece)
        on_bytes(len(piece))
    return found.hexdigest()


def sha256(path: Path) -> str:
    """Return a file's SHA-256."""
    return digest(path, "0" * 64)


def _pieces(path: Path) -> Iterator[bytes]:
    require_regular(path)
    with path.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece

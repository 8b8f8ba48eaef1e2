"""A model's files on disk: opened only if they are regular and no larger than they can be.

Opening a FIFO or a device waits for ever or never ends. Needs no torch.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sonar_cli.errors import CheckpointError

# The most bytes of a JSON file, and of a tokenizer's file, of which the largest that is published
# (NLLB's tokenizer.json) has 32 MB.
MOST_JSON = 16 << 20
MOST_TOKENIZER = 256 << 20
_POINTER = b"version https://git-lfs.github.com/"
# The most characters of something out of a file that a message shows.
_MOST_SHOWN = 80

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_TROUBLES = {
    errno.ENOENT: "there is no such file; check the path",
    errno.EACCES: "there is no permission to read it",
    errno.EPERM: "there is no permission to read it",
    errno.ELOOP: "it is a link that leads to itself",
    errno.EISDIR: "it is a directory, not a file",
}


def shown(name: str) -> str:
    """Return a name out of a file as messages show it: in one line, and not endless.

    >>> shown("layers.0.fc1"), shown("red\\x1b[31m"), len(shown(5000 * "9"))
    ('layers.0.fc1', "'red\\\\x1b[31m'", 80)
    """
    return _short(name if name.isprintable() else repr(name[:_MOST_SHOWN]))


def quoted(value: object) -> str:
    """Return a value out of a JSON file as messages show it, in one line, and not endless.

    >>> quoted("silu"), quoted([1, 2]), quoted(10**400)[-6:]
    ("'silu'", '[1, 2]', '000...')
    """
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return _short(repr(value))
    except RecursionError:
        return "something nested deep"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."


def trouble(path: Path, error: OSError) -> str:
    """Return what is wrong with a file that the system refuses, with its name."""
    return f"{path}: {_TROUBLES.get(error.errno or 0) or error.strerror or error}"


def require_regular(path: Path) -> None:
    """Raise CheckpointError for what is missing or no regular file, without opening it.

    Links are followed.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise CheckpointError(trouble(path, error)) from None
    except ValueError:  # a NUL in its name
        raise CheckpointError(f"{shown(str(path))} is no name of a file; check the path") from None
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise CheckpointError(f"{path} is {kind}, not a regular file; check the path")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a regular file to read bytes from.

    Raises CheckpointError for a file that is missing, no regular file or not readable, and for the
    pointer that Git leaves in the place of a large file.
    """
    require_regular(path)
    try:
        with path.open("rb") as file:
            if file.peek(len(_POINTER)).startswith(_POINTER):
                raise CheckpointError(
                    f"{path} is a pointer of Git LFS, not the file; `git lfs pull` gets it"
                )
            yield file
    except OSError as error:
        raise CheckpointError(trouble(path, error)) from None


def read_whole(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file, `most` of them at most.

    Raises CheckpointError as `opened` does, and for a larger file.
    """
    with opened(path) as file:
        fits = os.fstat(file.fileno()).st_size <= most
        raw = file.read(most + 1) if fits else b""  # some files of the system tell no size
    if not fits or len(raw) > most:
        raise CheckpointError(
            f"{path} is larger than {most >> 20} MiB, the most that is read of such a file"
        )
    return raw


def is_there(path: Path) -> bool:
    """Tell whether there is anything at a path, be it a link that leads nowhere."""
    return os.path.lexists(path)

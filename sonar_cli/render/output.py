"""Where results go: stdout, a file, or a device."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from sonar_cli.errors import UsageError
from sonar_cli.render.streams import STDOUT, naming, text_to

# Characters of a file's name that are kept in the name of what is not yet complete.
_KEPT = 60


@contextmanager
def opened(path: str | None, inputs: Iterable[str] = ()) -> Iterator[TextIO]:
    """Open a place for results, None for stdout: for text in UTF-8, or for bytes as its `buffer`.

    A file is written beside its place and gets there, with the mode of the file that was there,
    when the work is done; also when it ends early, by an error or a signal, if anything was
    written. If nothing was, or it could not be written whole, what was there stays. A device, a
    pipe, and what is open already, such as /dev/stdout, is written to directly.

    Raises UsageError for a file that is one of `inputs`, by name, and OSError, which names the
    path, where it cannot be written to.
    """
    number = 1 if path is None else _own_number(path)
    if path is None or number == 1:
        with naming(STDOUT), suppress(io.UnsupportedOperation):
            os.write(sys.stdout.fileno(), b"")  # if it is closed, say so before the work
        yield sys.stdout
        sys.stdout.flush()
        return
    old = _stat(path)
    if number is None and (old is None or stat.S_ISREG(old.st_mode)):
        with _beside(path, old, inputs) as out:
            yield out
        return
    with naming(path):
        file: int | str = path if number is None else os.dup(number)
    with text_to(file, path) as out:
        yield out


def write_whole(data: bytes, path: str) -> None:
    """Write a file in one go."""
    with opened(path) as out:
        out.buffer.write(data)


def _own_number(path: str) -> int | None:
    """Return the number of this process's open file that a path such as /dev/fd/3 stands for."""
    folders = {os.path.realpath(each) for each in ("/dev/fd", "/proc/self/fd")}
    for _ in range(40):  # as many links as Linux follows
        folder, name = os.path.split(path)
        if name.isdigit() and os.path.realpath(folder) in folders:
            return int(name)
        if not os.path.islink(path):
            break
        path = os.path.join(folder, os.readlink(path))
    return None


def _stat(name: str) -> os.stat_result | None:
    with suppress(OSError):
        return os.fstat(0) if name == "-" else os.stat(name)
    return None


@contextmanager
def _beside(path: str, old: os.stat_result | None, inputs: Iterable[str]) -> Iterator[TextIO]:
    """Open what is to take the place of a regular file; `old` is the one there, if any."""
    if old is not None:
        _refuse(path, old, inputs)
    target = Path(os.path.realpath(path))
    with naming(path):
        partial = _partial(target, old)
    try:
        with text_to(str(partial), path) as out:
            yield out
    except BaseException as error:
        unwritten = isinstance(error, OSError) and error.filename == path
        if not unwritten and partial.stat().st_size:
            _move(partial, target, path)
        raise
    else:
        _move(partial, target, path)
    finally:
        partial.unlink(missing_ok=True)


def _refuse(path: str, old: os.stat_result, inputs: Iterable[str]) -> None:
    for each in inputs:
        found = _stat(each)
        if found is not None and os.path.samestat(old, found):
            raise UsageError(f"{path} is one of the files that are read; give -o another one")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _partial(target: Path, old: os.stat_result | None) -> Path:
    """Make an empty file beside another, with its mode and owner, which is to take its place.

    Where its folder takes no new file, one among the system's temporary files.
    """
    name = f"{target.name[:_KEPT]}.{os.urandom(4).hex()}.partial"
    try:
        made = target.with_name(name)
        made.open("x").close()
    except OSError:
        if old is None:
            raise
        made = Path(tempfile.gettempdir(), name)
        made.open("x").close()
    if old is not None:
        with suppress(OSError):
            os.chown(made, old.st_uid, old.st_gid)
        made.chmod(stat.S_IMODE(old.st_mode))
    return made


def _move(partial: Path, target: Path, path: str) -> None:
    with naming(path):
        try:
            os.replace(partial, target)
        except OSError:  # it is on another disk, or mounted, and can only be filled
            shutil.copyfile(partial, target)

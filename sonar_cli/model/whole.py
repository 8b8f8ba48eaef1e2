"""Files and folders that are made whole or not at all."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The end of the names of files that are being written.
PARTIAL = ".partial"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a file to write, which then takes the place of `path`: nobody sees it half written.

    It is beside its place and goes if it cannot be finished. Readers of data sets pass over files
    with names like its own.
    """
    # Of this process alone: one that seems dead to others may be writing the same.
    partial = path.with_name(f"_{path.name}.{platform.node()}.{os.getpid()}{PARTIAL}")
    try:
        yield partial
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def moved_whole(final: Path) -> Iterator[Path]:
    """Make a folder beside its place and, when all is in it, move it there.

    What was in its place goes then; what an earlier one left unfinished goes first, and what is
    made here goes if it cannot be finished.
    """
    partial = final.with_name(f"{final.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)
    os.replace(partial, final)

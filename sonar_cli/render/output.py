"""Where results go: stdout, or a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

STDOUT = "standard output"


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Name the place in the error of a write, which names none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = place
        raise


@contextmanager
def opened(path: str | None) -> Iterator[TextIO]:
    """Open a file to write text to, or take stdout."""
    with naming(path or STDOUT):
        if path is None:
            yield sys.stdout
            sys.stdout.flush()
        else:
            with open(path, "w", encoding="utf-8") as out:
                yield out


def write_whole(data: bytes, path: str | None) -> None:
    """Write a result in one go: to stdout, or into place once it is complete."""
    with naming(path or STDOUT):
        if path is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        partial = f"{path}.partial"
        with open(partial, "wb") as out:
            out.write(data)
        os.replace(partial, path)

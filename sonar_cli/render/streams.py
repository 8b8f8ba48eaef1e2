"""The standard streams, prepared once at the start: none is missing, and none fails unsaid."""

from __future__ import annotations

import codecs
import io
import os
import re
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

STDOUT = "standard output"
# The error handler that writes a question mark for what a character set lacks.
REPLACE = "sonar-llm"
_BYTES = re.compile("[\udc80-\udcff]+")
# Whether a character was replaced so far.
_replaced = False


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write the bytes of a file's name as they are, and "?" for every other character."""
    global _replaced
    if not isinstance(error, UnicodeEncodeError):
        raise error
    given = error.object[error.start : error.end]
    one = _BYTES.match(given)
    if one and not error.encoding.startswith(("utf-16", "utf-32")):
        return one[0].encode("ascii", "surrogateescape"), error.start + one.end()
    _replaced = True
    return "?", error.start + 1


codecs.register_error(REPLACE, _replace)


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Name the place in an error of the system, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            error.filename, error.filename2 = place, None
        raise


class _File(io.FileIO):
    """A file, device or stream that is written to; errors name its `place`.

    Where it does not block, as a terminal that another program has set so, it is waited for.
    """

    def __init__(self, file: str | int, place: str, closefd: bool) -> None:
        self.place = place
        with naming(place):
            super().__init__(file, "w", closefd=closefd)

    def write(self, data: Any, /) -> int:
        with naming(self.place):
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        return written

    def close(self) -> None:
        with naming(self.place):
            super().close()


def text_to(
    file: str | int,
    place: str,
    *,
    closefd: bool = True,
    encoding: str = "utf-8",
    errors: str = REPLACE,
    line_buffering: bool = False,
) -> TextIO:
    """Open a file, by its path or number, to write text to; errors name it as `place`."""
    return io.TextIOWrapper(
        io.BufferedWriter(_File(file, place, closefd)),
        encoding=encoding,
        errors=errors,
        line_buffering=line_buffering,
    )


def prepare() -> None:
    """Make the standard streams fit to be used, whatever the program was started with.

    A closed stdin is empty and a closed stderr takes everything; to write to a closed stdout is an
    error, as with any other program. Their numbers stay taken, so that no file that is opened later
    gets what is meant for them. A character that stdout has no code for becomes a question mark.
    """
    for number, (name, flags) in enumerate(
        (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))
    ):
        if getattr(sys, name) is None:
            _open_nothing(number, flags)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    sys.stderr = sys.stderr or text_to(2, "standard error", closefd=False)
    encoding, errors, line_buffering = "utf-8", REPLACE, False
    if sys.stdout is not None:
        encoding, line_buffering = sys.stdout.encoding, bool(sys.stdout.line_buffering)
        if sys.stdout.errors not in ("strict", "surrogateescape"):
            errors = sys.stdout.errors or REPLACE  # as PYTHONIOENCODING asks
    sys.stdout = text_to(
        1, STDOUT, closefd=False, encoding=encoding, errors=errors, line_buffering=line_buffering
    )


def loses() -> bool:
    """Tell whether characters had to be replaced, because stdout's character set lacks them."""
    return _replaced


def leave(stream: TextIO) -> None:
    """Send what is still written to a stream nowhere, where that cannot fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_nothing(number: int, flags: int) -> None:
    found = os.open(os.devnull, flags)
    if found != number:
        os.dup2(found, number)
        os.close(found)

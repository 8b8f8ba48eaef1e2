"""Notices and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")
Pieces = TypeVar("Pieces", bound="Sliceable")


class Sliceable(Protocol):
    """A sequence that can be cut into pieces, such as a list or an array."""

    def __len__(self) -> int: ...

    def __getitem__(self: Pieces, at: slice, /) -> Pieces: ...


# Number of items between two updates of a progress bar: eight batches of 32.
_PIECE = 256


def say(line: str) -> None:
    """Print a notice as one line on stderr."""
    print("sonar-llm: " + " ".join(line.split()), file=sys.stderr, flush=True)


class Notices:
    """Prints each notice once per run, if notices are `wanted`."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.said: set[str] = set()

    def __call__(self, line: str) -> None:
        """Print a line, unless it was printed before."""
        if self.wanted and line not in self.said:
            self.said.add(line)
            say(line)


def doing(line: str, quiet: bool) -> None:
    """Print what is being done, if stderr is a terminal."""
    if not quiet and sys.stderr.isatty():
        say(line)


@contextmanager
def bar(total: int, label: str, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if stderr is a terminal; yield a function to set how much is done."""
    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    shown = Progress(*columns, TimeRemainingColumn(), console=console(sys.stderr), transient=True)
    with shown:
        task = shown.add_task(label, total=total)
        yield lambda done: shown.update(task, completed=done)


@contextmanager
def downloads(quiet: bool, total: int) -> Iterator[Callable[[str, int], None]]:
    """Show one bar over the `total` bytes of several downloads, if stderr is a terminal.

    Yields a function to tell which file is coming and how many bytes of all are here.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda name, done: None
        return
    from rich import progress as parts

    shown = parts.Progress(
        parts.TextColumn("{task.description}"),
        parts.BarColumn(),
        parts.DownloadColumn(),
        parts.TransferSpeedColumn(),
        parts.TimeRemainingColumn(),
        console=console(sys.stderr),
        transient=True,
    )
    with shown:
        task = shown.add_task("", total=total)
        yield lambda name, done: shown.update(task, description=name, completed=done)


def progress(items: Iterable[Item], total: int, label: str, quiet: bool) -> Iterator[Item]:
    """Yield the `total` items, with a progress bar if stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, label, total=total, console=console(sys.stderr), transient=True)


def pieces(items: Pieces, label: str, quiet: bool) -> Iterator[Pieces]:
    """Yield the items in pieces of some batches each, with a progress bar."""
    starts = range(0, len(items), _PIECE)
    for start in progress(starts, len(starts), label, quiet):
        yield items[start : start + _PIECE]


def console(file: TextIO) -> Console:
    """Return rich's console on a stream, without line wrapping."""
    from rich.console import Console

    return Console(file=file, soft_wrap=True, highlight=False)

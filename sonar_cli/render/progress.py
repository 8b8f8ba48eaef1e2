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
    """What can be cut into pieces: a list, an array."""

    def __len__(self) -> int: ...

    def __getitem__(self: Pieces, at: slice, /) -> Pieces: ...


# Sentences between two moves of a progress bar: eight batches.
_PIECE = 256


def say(line: str) -> None:
    """Say something beside the product, in one line on stderr."""
    print("sonar-llm: " + " ".join(line.split()), file=sys.stderr, flush=True)


class Notices:
    """Says each notice once a run, where notices are wanted."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted
        self.said: set[str] = set()

    def __call__(self, line: str) -> None:
        """Say a line, unless it was said before."""
        if self.wanted and line not in self.said:
            self.said.add(line)
            say(line)


def doing(line: str, quiet: bool) -> None:
    """Say on stderr what is being done, where it is a terminal."""
    if not quiet and sys.stderr.isatty():
        say(line)


@contextmanager
def bar(total: int, label: str, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how much of `total` is done, on stderr where it is a terminal."""
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


def progress(items: Iterable[Item], total: int, label: str, quiet: bool) -> Iterator[Item]:
    """Pass items through, with a bar on stderr where it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, label, total=total, console=console(sys.stderr), transient=True)


def pieces(items: Pieces, label: str, quiet: bool) -> Iterator[Pieces]:
    """Cut long work into pieces of some batches each, with a progress bar over them."""
    starts = range(0, len(items), _PIECE)
    for start in progress(starts, len(starts), label, quiet):
        yield items[start : start + _PIECE]


def console(file: TextIO) -> Console:
    """Return rich's console on a stream; it wraps nothing by itself."""
    from rich.console import Console

    return Console(file=file, soft_wrap=True, highlight=False)

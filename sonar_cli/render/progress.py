"""Notices and progress on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from sonar_cli.render.streams import leave
from sonar_cli.render.visible import visible

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
    """Print a notice as one line on stderr, where nothing in it steers a terminal."""
    shown = " ".join(visible(each.strip()) for each in line.split("\n") if each.strip())
    try:
        print(f"sonar-llm: {shown}", file=sys.stderr, flush=True)
    except OSError:  # nobody hears it, and what the program was asked for goes on
        leave(sys.stderr)


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

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn())
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
        parts.TextColumn("{task.description}", markup=False),
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


@contextmanager
def counter(total: int, finished: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many texts are done, how fast, and the time left, if stderr is a terminal.

    `finished` of the `total` were done before. Yields a function to set how many are.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("texts  {task.fields[pace]}"))
    began = perf_counter()
    with Progress(*columns, console=console(sys.stderr), transient=True) as shown:
        task = shown.add_task("", total=total, completed=finished, pace="")

        def update(done: int) -> None:
            rate = (done - finished) / max(perf_counter() - began, 1e-9)
            left = timedelta(seconds=int((total - done) / rate)) if rate else "?"
            pace = f"{rate:.3g} a second  {left} left"
            shown.update(task, completed=done, pace=pace)

        yield update


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
    """Return rich's console on a stream: no line wrapping, no markup in what is shown.

    With NO_COLOR set it has neither colours nor bold or dimmed letters.
    """
    from rich.console import Console

    plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=file,
        color_system=None if plain else "auto",
        soft_wrap=True,
        highlight=False,
        markup=False,
        emoji=False,
    )

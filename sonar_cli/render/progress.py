"""Notices and progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")


def notice(line: str) -> None:
    """Say something beside the product, on stderr."""
    print(f"sonar-llm: {line}", file=sys.stderr, flush=True)


def doing(line: str, quiet: bool) -> None:
    """Say on stderr what is being done, where it is a terminal."""
    if not quiet and sys.stderr.isatty():
        notice(line)


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


def console(file: TextIO) -> Console:
    """Return rich's console on a stream; it wraps nothing by itself."""
    from rich.console import Console

    return Console(file=file, soft_wrap=True, highlight=False)

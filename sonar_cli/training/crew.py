"""Work that is shared among processes, with results in order."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from time import perf_counter
from typing import Any, TypeVar

import torch

from sonar_cli.cores import cores
from sonar_cli.errors import SonarError

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")

# Work that has taken so many seconds here is shared out: starting the processes takes a few.
_PATIENCE = 10.0
# Bytes of a process that has imported torch.
_PROCESS = 400 << 20

# What a worker process works with; set once, when it starts.
_tool: Any = None


def in_order(
    work: Callable[[Tool, Item], Result],
    items: Iterable[Item],
    here: Tool,
    load: Callable[[], Tool] | None = None,
    workers: int = 1,
    size: int = 0,
) -> Generator[Result, None, None]:
    """Yield `work(tool, item)` of each item, in the order of the items.

    The tool is `here` in this process, and what `load` returns in each of the `workers` processes;
    `work`, `load`, items and results have to be picklable. With one worker, or no `load`, all is
    done in this process. With 0 workers it begins here and, once that has lasted, goes on in as
    many processes as there are CPU cores, and as half of the memory holds where a tool takes `size`
    bytes. Few items and results are in memory at a time. Raises SonarError when a process dies.

    >>> list(in_order(pow, [1, 2, 3], here=2))
    [2, 4, 8]
    """
    waiting, began = iter(items), perf_counter()
    count = 1 if load is None else workers or _processes(size)
    if count == 1 or not workers:
        for item in waiting:
            yield work(here, item)
            if count > 1 and perf_counter() - began > _PATIENCE:
                break
    if load is not None and count > 1:
        yield from _shared(work, waiting, load, count)


def _shared(
    work: Callable[[Tool, Item], Result],
    items: Iterator[Item],
    load: Callable[[], Tool],
    count: int,
) -> Generator[Result, None, None]:
    # Processes start with the first item that is submitted.
    pool = ProcessPoolExecutor(count, get_context("spawn"), _start, (load,))
    try:
        running: deque[Future[Result]] = deque()
        while True:
            for item in islice(items, 2 * count - len(running)):
                running.append(pool.submit(_call, work, item))
            if not running:
                return
            yield running.popleft().result()
    except BrokenProcessPool:
        raise SonarError(
            "a worker process died, maybe for want of memory; run again to go on, with "
            "data.workers=1 in one process"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(load: Callable[[], Any]) -> None:
    """Make a new process a worker."""
    global _tool
    # Ctrl-C ends it without a traceback, and it does not outlive the process that started it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_follow, daemon=True).start()
    torch.set_num_threads(1)
    _tool = load()


def _follow() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _call(work: Callable[[Any, Item], Result], item: Item) -> Result:
    return work(_tool, item)


def _processes(size: int) -> int:
    """Return how many processes this machine has the CPU cores and the memory for."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(max(1, memory // 2 // (size + _PROCESS)), cores())

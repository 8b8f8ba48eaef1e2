"""A request's jobs, from the event loop's side: submitted, listened to, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request

from sonar_cli.serve.failures import refusal
from sonar_cli.serve.jobs import Deliver, Ended, Event, Failed, Job, Result
from sonar_cli.serve.worker import Worker

Answer = TypeVar("Answer")


class Jobs:
    """The jobs of one request, and their events as they come."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        self._jobs: Sequence[Job] = ()

    def deliver(self, number: int) -> Deliver:
        """Return what passes on the events of a job to this loop."""

        def pass_on(event: Event) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever listened
                self._loop.call_soon_threadsafe(self._events.put_nowait, (number, event))

        return pass_on

    def submit(self, jobs: Sequence[Job]) -> None:
        """Put the jobs in the queue. Raises Busy."""
        self._worker.submit(jobs)
        self._jobs = jobs

    def cancel(self) -> None:
        """Free the places of what is not done; nothing where all is."""
        self._worker.cancel(self._jobs)

    async def events(self) -> AsyncIterator[tuple[int, Event]]:
        """Yield (number of the job, event) until all are done. Raises Refused for a failed one."""
        left = len(self._jobs)
        while left:
            number, event = await self._events.get()
            if isinstance(event, Failed):
                raise refusal(event.error) from event.error
            left -= isinstance(event, (Ended, Result))
            yield number, event


class Gone(Exception):
    """The client does not wait any longer."""


async def unless_gone(http: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Return what some work comes to. Raises Gone as soon as the client has vanished."""
    tasks = asyncio.ensure_future(work), asyncio.ensure_future(_vanished(http))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            raise Gone
        return tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()


async def _vanished(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass

"""The one thread that runs the model, and the texts that wait for it.

Texts of all clients are written side by side, a sentence each a turn. One that comes in the middle
is begun at the next turn, in the place of one that has ended. Texts with other options than a seed
and a length of their own are in another batch, and the batches take turns. Other work, embeddings
and summaries, is done in between, a piece a turn.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from itertools import count
from time import perf_counter
from typing import Any

from sonar_cli.api import SonarLLM
from sonar_cli.errors import InputError, UsageError
from sonar_cli.options import GenerationOptions, Step
from sonar_cli.pipeline import Opening
from sonar_cli.serve.failures import Busy, Closing
from sonar_cli.serve.jobs import Began, Ended, Failed, Job, Result, Sentence, Task, Writing

# Seconds that a busy client is told to wait at most.
_LONGEST = 60


class Worker:
    """Runs jobs in a thread of its own; beside those that have a place, `queue` may wait.

    `notify` is told, a line each, what went wrong with a job without being the client's fault.
    """

    def __init__(self, llm: SonarLLM, queue: int, notify: Callable[[str], None]) -> None:
        self._llm = llm
        self._queue = queue
        self._notify = notify
        self._changed = threading.Condition()
        self._texts: deque[Writing] = deque()
        self._tasks: deque[Task] = deque()
        self._groups: dict[GenerationOptions, _Group] = {}
        self._current: tuple[Task, Generator[None, None, Any]] | None = None
        self._closing = False
        self._pace = 0.0
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    @property
    def most(self) -> int:
        """How many jobs there may be at once: those that run side by side, and the queue."""
        return self._llm.batch_size + self._queue

    @property
    def is_alive(self) -> bool:
        """Whether jobs are worked on."""
        return self._thread.is_alive() and not self._closing

    @property
    def running(self) -> int:
        """How many texts are written just now, other work included."""
        return sum(map(len, list(self._groups.values()))) + (self._current is not None)

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._texts) + len(self._tasks)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Put jobs in the queue, all or none. Raises Busy where they have no place in it."""
        with self._changed:
            if self._closing:
                raise Closing
            if self.waiting + self.running + len(jobs) > self.most:
                raise Busy(self._patience())
            self._texts += [job for job in jobs if isinstance(job, Writing)]
            self._tasks += [job for job in jobs if isinstance(job, Task)]
            self._changed.notify()

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Leave jobs as they are: what waits goes at once, what runs before its next turn."""
        with self._changed:
            for job in jobs:
                job.cancelled = True
            self._texts = deque(job for job in self._texts if not job.cancelled)
            self._tasks = deque(job for job in self._tasks if not job.cancelled)
            self._changed.notify()

    def close(self, seconds: float = 5.0) -> None:
        """End the thread after the turn that it is at; what is not done fails."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _patience(self) -> int:
        """Return after how many seconds a place may be free, by what texts took so far."""
        ahead = self.waiting / self._llm.batch_size
        return max(1, min(_LONGEST, math.ceil(self._pace * ahead)))

    def _run(self) -> None:
        try:
            while (fresh := self._taken()) is not None:
                for job in fresh:
                    self._begin(job)
                self._work_on()
                for options, group in list(self._groups.items()):
                    self._turn(options, group)
        finally:
            self._give_up()

    def _give_up(self) -> None:
        """Fail whatever is not done, so that nobody waits for it."""
        with self._changed:
            self._closing = True
        running = [job for group in self._groups.values() for job in group.jobs.values()]
        current = [self._current[0]] if self._current else []
        unfinished: list[Job] = [*running, *current, *self._texts, *self._tasks]
        for job in unfinished:
            job.deliver(Failed(Closing()))

    def _taken(self) -> list[Writing] | None:
        """Wait for something to do; return the texts that have a place now, None at the end."""
        with self._changed:
            while not (self._closing or self.waiting or self.running):
                self._changed.wait()
            if self._closing:
                return None
            if self._current is None and self._tasks:
                task = self._tasks.popleft()
                self._current = task, task.work(self._llm)
            places = self._llm.batch_size - sum(map(len, self._groups.values()))
            return [self._texts.popleft() for _ in range(min(places, len(self._texts)))]

    def _begin(self, job: Writing) -> None:
        """Split a text into sentences, and put it among those with the same options."""
        if job.cancelled:
            return
        try:
            sentences = self._llm.sentences(job.text, job.options.source_lang)
            if not sentences:
                raise UsageError("there is no sentence in the text to continue")
            if job.together not in self._groups:
                self._groups[job.together] = _Group(self._llm, job.together)
        except Exception as error:
            self._fail([job], error)
            return
        job.deliver(Began(sum(map(self._llm.count_tokens, sentences))))
        self._groups[job.together].add(job, sentences)

    def _turn(self, options: GenerationOptions, group: _Group) -> None:
        """Write a sentence of each text of a group; an error ends all of them."""
        try:
            for seconds in group.turn():
                self._pace = 0.8 * (self._pace or seconds) + 0.2 * seconds
        except Exception as error:
            self._fail(list(group.jobs.values()), error)
            group.jobs.clear()
        if not group.jobs:
            del self._groups[options]

    def _work_on(self) -> None:
        """Do the next piece of the other work."""
        if self._current is None:
            return
        task, pieces = self._current
        try:
            if task.cancelled:
                pieces.close()
            else:
                next(pieces)
                return
        except StopIteration as end:
            task.deliver(Result(end.value))
        except Exception as error:
            self._fail([task], error)
        self._current = None

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        if not isinstance(error, (UsageError, InputError)):
            self._notify(f"a request failed: {type(error).__name__}: {error}")
        for job in jobs:
            job.deliver(Failed(error))


class _Group:
    """Texts that share their options: a batch, and who asked for which of its texts."""

    def __init__(self, llm: SonarLLM, options: GenerationOptions) -> None:
        self.jobs: dict[int, Writing] = {}
        self._llm = llm
        self._batch = llm.batch(options)
        self._numbers = count()
        self._fresh: list[Opening] = []
        self._began: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.jobs)

    def add(self, job: Writing, sentences: Sequence[str]) -> None:
        """Take a text, to begin with at the next turn."""
        number = next(self._numbers)
        self.jobs[number] = job
        self._began[number] = perf_counter()
        self._fresh.append(Opening(number, sentences, job.options.sentences, job.options.seed))

    def turn(self) -> list[float]:
        """Write a sentence of each text; return the seconds that each took that has ended."""
        self._leave([number for number, job in self.jobs.items() if job.cancelled])
        fresh, self._fresh = self._fresh, []
        ended: list[int] = []
        for number, step in self._batch.turn(fresh):
            if number not in ended and self._tell(self.jobs[number], step):
                ended.append(number)
        now = perf_counter()
        seconds = [now - self._began[number] for number in ended]
        self._leave(ended)
        return seconds

    def _tell(self, job: Writing, step: Step) -> bool:
        """Tell a client of a step; return whether its text has ended."""
        if step.text is not None:
            tokens = self._llm.count_tokens(step.text)
            job.tokens += tokens
            job.deliver(Sentence(step.text, tokens))
            if job.max_tokens is None or job.tokens < job.max_tokens:
                return False
        job.deliver(Ended(step.stop_reason or "length"))
        return True

    def _leave(self, numbers: Sequence[int]) -> None:
        self._batch.drop(numbers)
        self._fresh = [each for each in self._fresh if each.number not in numbers]
        for number in numbers:
            del self.jobs[number], self._began[number]

"""Texts of many clients side by side: each as alone, none lost, places freed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sonar_cli import GenerationOptions, SonarLLM
from sonar_cli.serve.failures import Busy, Closing
from sonar_cli.serve.jobs import Began, Ended, Event, Failed, Result, Sentence, Task, Writing
from sonar_cli.serve.worker import Worker
from tests.serve.conftest import STORY

SUBJECTS = ("Lily", "Tom", "Ben", "The dog", "Mia", "A cat", "Sam", "The boy")
TEXTS = [f"{name} found a {thing}." for name in SUBJECTS for thing in ("kite", "ball", "cake")]


class Client:
    """Someone who waits for the events of one job."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()

    def writing(self, text: str = STORY, **options: Any) -> Writing:
        self.job = Writing(self.events.put, text, GenerationOptions(**options))
        return self.job

    def task(self, work: Any) -> Task:
        self.job = Task(self.events.put, work)
        return self.job

    def next(self) -> Event:
        return self.events.get(timeout=120)

    def all(self) -> list[Event]:
        found = [self.next()]
        while not isinstance(found[-1], (Ended, Failed, Result)):
            found.append(self.next())
        return found

    def text(self) -> list[str]:
        found = self.all()
        assert isinstance(found[0], Began) and isinstance(found[-1], Ended), found
        return [each.text for each in found if isinstance(each, Sentence)]


@pytest.fixture
def few(llm: SonarLLM) -> SonarLLM:
    """The model, with places for three texts."""
    few = SonarLLM(llm.request, replace(llm.runtime, batch_size=3), llm.paths, llm.codec)
    few.system = llm.system
    return few


@pytest.fixture
def worker(few: SonarLLM) -> Iterator[Worker]:
    worker = Worker(few, 100, lambda line: None)
    yield worker
    worker.close()


def _alone(llm: SonarLLM, text: str, **options: Any) -> list[str]:
    return [step.text for step in llm.continue_(text, **options) if step.text is not None]


# A text with these has no end of its own.
ENDLESS = {"sentences": 10_000, "stop_threshold": 2}


class Held:
    """Holds the decoder at its first step, until it is let go; counts the rows of each step."""

    def __init__(self, llm: SonarLLM, patch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.rows: list[int] = []
        self._decode = llm.codec.decode
        patch.setattr(llm.codec, "decode", self)

    def __call__(self, vectors: Any, *rest: Any, **more: Any) -> Any:
        self.rows.append(len(vectors))
        self.begun.set()
        assert self.go.wait(120)
        return self._decode(vectors, *rest, **more)


def test_each_text_comes_out_as_alone(worker: Worker, few: SonarLLM) -> None:
    """With lengths, seeds and temperatures of their own, and more texts than places."""
    warm = (None, 0.7)
    asked = [
        {"sentences": 1 + number % 4, "seed": number % 5, "token_temperature": warm[number % 2]}
        for number in range(len(TEXTS))
    ]
    clients = [Client() for _ in TEXTS]
    worker.submit([c.writing(t, **o) for c, t, o in zip(clients, TEXTS, asked, strict=True)])
    worker.start()
    found = [client.text() for client in clients]
    assert found == [_alone(few, t, **o) for t, o in zip(TEXTS, asked, strict=True)]
    assert (worker.running, worker.waiting) == (0, 0)


def test_a_text_that_comes_later_joins_those_that_run(
    worker: Worker, few: SonarLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is begun before they have ended, by the same steps of the decoder."""
    wanted = _alone(few, TEXTS[1], sentences=2)
    held = Held(few, monkeypatch)
    first, second = Client(), Client()
    worker.submit([first.writing(sentences=4, stop_threshold=2)])
    worker.start()
    assert held.begun.wait(120)
    worker.submit([second.writing(TEXTS[1], sentences=2, stop_threshold=2)])
    held.go.set()
    assert second.text() == wanted
    assert len(first.text()) == 4
    alone = few.drawing.candidates
    assert held.rows == [alone, 2 * alone, 2 * alone, alone]


def test_who_vanishes_frees_a_place_and_disturbs_none(worker: Worker, few: SonarLLM) -> None:
    """Three fill all places with texts without end; a fourth begins only when one goes."""
    endless = [Client() for _ in range(3)]
    waiting, gone = Client(), Client()
    worker.submit([c.writing(t, **ENDLESS) for c, t in zip(endless, TEXTS, strict=False)])
    worker.submit([gone.writing(sentences=2), waiting.writing(TEXTS[5], sentences=3)])
    worker.cancel([gone.job])
    worker.start()
    for client in endless:
        assert isinstance(client.next(), Began)
        assert isinstance(client.next(), Sentence)
    assert waiting.events.empty() and (worker.running, worker.waiting) == (3, 1)
    worker.cancel([endless[1].job])
    assert waiting.text() == _alone(few, TEXTS[5], sentences=3)
    assert gone.events.empty()
    for client, text in ((endless[0], TEXTS[0]), (endless[2], TEXTS[2])):
        more = [client.next() for _ in range(5)]
        wanted = _alone(few, text, sentences=6, stop_threshold=2)[1:]
        assert [each.text for each in more if isinstance(each, Sentence)] == wanted


def test_clients_that_come_and_go_lose_none_of_the_others(worker: Worker, few: SonarLLM) -> None:
    clients = [Client() for _ in TEXTS]
    how = {"sentences": 4, "seed": 1}
    jobs = [c.writing(t, **how) for c, t in zip(clients, TEXTS, strict=True)]
    worker.submit(jobs)
    worker.start()
    for number in range(0, len(TEXTS), 3):
        assert isinstance(clients[number].next(), Began)
        worker.cancel([jobs[number]])
    left = [number for number in range(len(TEXTS)) if number % 3]
    found = [clients[number].text() for number in left]
    assert found == [_alone(few, TEXTS[number], **how) for number in left]


def test_the_queue_has_a_bound(few: SonarLLM) -> None:
    worker = Worker(few, 2, lambda line: None)
    clients = [Client() for _ in range(6)]
    try:
        worker.submit([client.writing(sentences=1) for client in clients[:4]])
        with pytest.raises(Busy) as error:  # all or none
            worker.submit([client.writing(sentences=1) for client in clients[4:]])
        assert error.value.seconds >= 1
        worker.submit([clients[4].writing(sentences=1)])
        assert worker.waiting == 5 == worker.most
        worker.start()
        assert all(client.text() for client in clients[:5])
        worker.submit([clients[5].writing(sentences=1)])
        assert clients[5].text()
    finally:
        worker.close()


def test_a_text_without_sentences_fails_alone(worker: Worker, few: SonarLLM) -> None:
    good, bad = Client(), Client()
    worker.submit([good.writing(sentences=2), bad.writing(" ", sentences=2)])
    worker.start()
    (failed,) = bad.all()
    assert isinstance(failed, Failed) and "no sentence" in str(failed.error)
    assert good.text() == _alone(few, STORY, sentences=2)


def test_other_work_is_done_while_texts_are_written(worker: Worker, few: SonarLLM) -> None:
    """A piece a turn: a long text goes on between the pieces."""
    writer, other = Client(), Client()
    seen: list[int] = []

    def work(llm: SonarLLM) -> Any:
        for _ in range(4):
            seen.append(writer.events.qsize())
            yield
        return "done"

    how = {"sentences": 8, "stop_threshold": 2}
    worker.submit([writer.writing(**how), other.task(work)])
    worker.start()
    assert other.all() == [Result("done")]
    assert seen == [1, 2, 3, 4]
    assert writer.text() == _alone(few, STORY, **how)


def test_work_that_is_cancelled_is_left(worker: Worker) -> None:
    begun, go = threading.Event(), threading.Event()

    def work(llm: SonarLLM) -> Any:
        begun.set()
        assert go.wait(120)
        yield
        return "done"

    first, second, third = Client(), Client(), Client()
    worker.submit([first.task(work), second.task(work)])
    worker.start()
    assert begun.wait(120)
    worker.cancel([first.job, second.job])
    go.set()
    worker.submit([third.writing(sentences=1)])
    assert third.text()
    assert first.events.empty() and second.events.empty()


def test_the_end_fails_what_is_not_done(few: SonarLLM) -> None:
    worker = Worker(few, 10, lambda line: None)
    clients = [Client() for _ in range(5)]
    worker.submit([client.writing(**ENDLESS) for client in clients])
    worker.start()
    assert isinstance(clients[0].next(), Began)
    worker.close()
    for client in clients:
        last = client.all()[-1]
        assert isinstance(last, Failed) and isinstance(last.error, Closing)
    assert not worker.is_alive
    with pytest.raises(Closing):
        worker.submit([Client().writing()])

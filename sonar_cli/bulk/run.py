"""A run: cut the inputs into shards, and make those that are not finished, here or by Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sonar_cli.bulk.folder import Folder, Note
from sonar_cli.bulk.job import Job, RayOptions
from sonar_cli.bulk.making import Maker, Notify, OnTexts, Plan
from sonar_cli.bulk.records import JSON_LINES, Reader, Shard, cut
from sonar_cli.errors import InputError
from sonar_cli.hub.download import Display, Watcher, unseen
from sonar_cli.hub.resolve import resolve

if TYPE_CHECKING:
    import pyarrow

# (all texts, those that are finished already) -> a context whose value is told how many are done.
Shown = Callable[[int, int], AbstractContextManager[OnTexts]]


@dataclass(frozen=True)
class Outcome:
    """What lies in the folder: its texts, how many have an error, how many sentences were cut.

    `first` is the first file with an error, and `made` how many of the texts are new.
    """

    texts: int
    errors: int
    cut: int
    first: str
    made: int


def run(
    job: Job,
    notify: Notify,
    shown: Shown,
    ray: RayOptions | None = None,
    display: Display = unseen,
) -> Outcome:
    """Make all shards of a job that its folder does not have; see `Folder` and `Shard`.

    `notify` is told what a user should know, `display` shows downloads. Raises
    UsageError for a folder with shards of another job, InputError for inputs that cannot be read,
    and what loading a model raises. A text that cannot be worked on is no reason to stop.
    """
    paths = resolve(job.request, predictor=job.predicts, watcher=Watcher(notify, display))
    shards = list(cut(job.inputs, job.how))
    texts = sum(each.texts for each in shards)
    if not texts:
        raise InputError("there is no text in the inputs")
    folder = Folder(job.folder)
    with folder.held():
        folder.claim(job.asked(paths, texts))
        notes = folder.finished()
        waiting = [each.number for each in shards if each.number not in notes]
        before = sum(each.texts for each in notes.values())
        if waiting:
            plan = Plan(job, shards, _schema(job, shards))
            with _quiet(ray), shown(texts, before) as on_texts:
                for note in _made(plan, waiting, ray, notify, before, on_texts):
                    notes[note.number] = note
    return _outcome([notes[each.number] for each in shards], before)


def _made(
    plan: Plan,
    waiting: Sequence[int],
    ray: RayOptions | None,
    notify: Notify,
    done: int,
    on_texts: OnTexts,
) -> Iterator[Note]:
    """Make the waiting shards; yield the note of each."""
    if ray is not None:
        from sonar_cli.bulk import on_ray

        for note in on_ray.made(plan, waiting, ray, notify):
            done += note.texts
            on_texts(done)
            yield note
        return
    maker = Maker(plan, notify)
    for number in waiting:
        note = maker(number, lambda texts, done=done: on_texts(done + texts))  # type: ignore[misc]
        done += note.texts
        yield note


def _quiet(ray: RayOptions | None) -> AbstractContextManager[None]:
    if ray is None:
        return nullcontext()
    from sonar_cli.bulk import on_ray

    return on_ray.silenced()


def _schema(job: Job, shards: Sequence[Shard]) -> pyarrow.Schema | None:
    """Return the columns of JSON Lines that become Parquet: those of all records together."""
    found = [each for each in shards if each.file.endswith(JSON_LINES)]
    if job.format != "parquet" or not found:
        return None
    from sonar_cli.bulk import parquet

    reader = Reader(job.how)
    return parquet.one_schema(reader.read(each).table(None) for each in found)


def _outcome(notes: Sequence[Note], before: int) -> Outcome:
    texts = sum(each.texts for each in notes)
    return Outcome(
        texts,
        errors=sum(each.errors for each in notes),
        cut=sum(each.cut for each in notes),
        first=next((each.file for each in notes if each.errors), ""),
        made=texts - before,
    )

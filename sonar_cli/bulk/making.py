"""Make one shard: read its records, have the model work on their texts, write it, note it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sonar_cli.api import SonarLLM
from sonar_cli.bulk.folder import Folder, Note
from sonar_cli.bulk.job import Job
from sonar_cli.bulk.records import Reader, Records, Shard
from sonar_cli.bulk.tasks import ERROR, OnCut, Result
from sonar_cli.errors import SonarError, UsageError
from sonar_cli.model.whole import replacing
from sonar_cli.text.inputs import Text

if TYPE_CHECKING:
    import pyarrow

Notify = Callable[[str], None]
# Told how many texts of the shard are done.
OnTexts = Callable[[int], None]

# What code raises for a text that it was not made for. Such a text has an error, and the other
# ten million do not wait for it; what the machine raises (memory, disk) ends the run.
_OF_A_TEXT = (ArithmeticError, AssertionError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class Plan:
    """All that a worker needs: the job, its shards, and the columns of JSON Lines in Parquet."""

    job: Job
    shards: Sequence[Shard]
    schema: pyarrow.Schema | None = None


class Maker:
    """Makes shards with a model that is loaded once.

    A shard's bytes depend on the plan alone, and not on what was made before it or by whom.
    """

    def __init__(self, plan: Plan, notify: Notify) -> None:
        self.plan = plan
        job = plan.job
        self.llm = SonarLLM.open(job.request, job.runtime, predictor=job.predicts, notify=notify)
        self.llm.check_languages(job.reading.lang)
        job.task.prepare(self.llm)
        self.llm.pack()
        self._reader = Reader(job.how)
        self._folder = Folder(job.folder)

    def __call__(self, number: int, on_texts: OnTexts = lambda done: None) -> Note:
        """Make the shard of this number; return what is noted of it."""
        shard = self.plan.shards[number]
        records = self._reader.read(shard)
        cut: list[int] = []
        results = self._results(records, on_texts, cut.append)
        name = f"part-{number:06}.{self.plan.job.format}"
        self._write(name, records, results)
        errors = sum(ERROR in each for each in results)
        note = Note(number, name, len(results), errors, sum(cut))
        self._folder.finish(note)
        return note

    def _results(self, records: Records, on_texts: OnTexts, on_cut: OnCut) -> list[Result]:
        """Return the result of each record, that of one without a text being its error."""
        reading = self.plan.job.reading
        texts = [Text("the text", each, reading) for each in records.texts if isinstance(each, str)]
        made: list[Result] = []
        without = len(records.texts) - len(texts)
        for each in self._made(texts, on_cut):
            made.append(each)
            on_texts(without + len(made))
        on_texts(len(records.texts))
        waiting = iter(made)
        return [
            next(waiting) if isinstance(each, str) else {ERROR: str(each)} for each in records.texts
        ]

    def _made(self, texts: Sequence[Text], on_cut: OnCut) -> Iterator[Result]:
        """Yield the result of each text; those after one that cannot be worked on go alone."""
        task, done = self.plan.job.task, 0
        cut: list[int] = []
        try:
            for each in task.results(self.llm, texts, cut.append):
                yield each
                done += 1
        except UsageError:
            raise
        except (SonarError, *_OF_A_TEXT):
            for text in texts[done:]:
                yield self._alone(text, cut.append)
        on_cut(sum(cut))

    def _alone(self, text: Text, on_cut: OnCut) -> Result:
        try:
            (found,) = self.plan.job.task.results(self.llm, [text], on_cut)
        except UsageError:
            raise
        except SonarError as error:
            return {ERROR: str(error)}
        except _OF_A_TEXT as error:
            return {ERROR: f"{type(error).__name__}: {error}"}
        return found

    def _write(self, name: str, records: Records, results: Sequence[Result]) -> None:
        job = self.plan.job
        with replacing(job.folder / name) as file:
            if job.format == "parquet":
                from sonar_cli.bulk import parquet

                kinds = parquet.kinds_of(job.task, self.llm.codec.width)
                parquet.write(file, records.table(self.plan.schema), results, kinds)
            else:
                from sonar_cli.bulk import json_lines

                json_lines.write(file, records.rows(), results, (*job.task.fields, ERROR))

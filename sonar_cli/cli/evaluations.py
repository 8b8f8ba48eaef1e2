"""What `sonar-llm evaluate` does: opens the model, finds the texts, measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sonar_cli import render
from sonar_cli.api import SonarLLM
from sonar_cli.cli import session
from sonar_cli.errors import UsageError
from sonar_cli.evaluation import (
    continuations,
    documents,
    precision,
    reconstruction,
    summaries,
    summarizers,
)
from sonar_cli.evaluation import mini as stories
from sonar_cli.evaluation.metrics import words
from sonar_cli.evaluation.report import Report
from sonar_cli.options import (
    GenerationOptions,
    ModelRequest,
    OutputOptions,
    Runtime,
    SummaryOptions,
)
from sonar_cli.training import texts
from sonar_cli.training.tables import Data


@dataclass(frozen=True)
class Measured:
    """The model that is measured, on what, and where the report goes.

    `count` is the number of stories or pieces of texts; `texts` are paths, of which there may be
    none.
    """

    request: ModelRequest
    runtime: Runtime
    output: OutputOptions
    count: int
    texts: Sequence[str] = ()

    def open(self, dtype: str | None = None) -> SonarLLM:
        """Open the model, in its own or another dtype."""
        runtime = replace(self.runtime, dtype=dtype) if dtype else self.runtime
        return session.open_model(self.request, runtime, self.output)

    def read(self, path: str) -> Iterator[list[str]]:
        """Yield the texts of a path, each as its sentences."""
        return texts.documents(Data(path=path), render.Notices(not self.output.quiet))

    def progress(self, label: str) -> Callable[..., Any]:
        """Return what shows how many are done, of so many in all."""
        return lambda items, total: render.progress(items, total, label, self.output.quiet)


def mini(of: Measured, options: GenerationOptions) -> Report:
    """Measure what a model gives back and writes on held-out stories."""
    system = of.open().of_vectors()
    return stories.run(system, of.count, options=options, progress=of.progress("stories"))


def codec(of: Measured, count: int) -> Report:
    """Measure how many of `count` sentences of each text come back."""
    given = {path: [each for text in of.read(path) for each in text] for path in of.texts}
    if not given:
        told = stories.held_out(of.count)
        given = {"the story world": [sentence for story in told for sentence in story]}
    return reconstruction.run(of.open().codec, given, count, progress=of.progress("sentences"))


def continuation(
    of: Measured, known: Sequence[str], shown: int, options: GenerationOptions
) -> Report:
    """Measure how a model continues texts; the words of the paths `known` are words."""
    given = [text for path in of.texts for text in of.read(path)]
    given = given or [list(story) for story in stories.held_out(of.count)]
    spelled = {
        word for path in known for text in of.read(path) for each in text for word in words(each)
    }
    return continuations.run(
        of.open().of_vectors(),
        given,
        of.count,
        spelled,
        shown,
        options=replace(options, sentences=continuations.WRITTEN),
        progress=of.progress("texts"),
    )


def dtype(of: Measured) -> Report:
    """Measure what the dtype costs, beside float32."""
    if of.runtime.dtype in ("auto", "float32"):
        raise UsageError("what is to be compared to float32? add --dtype int8, for one")
    if of.request.codec != "native":
        raise UsageError("only our own codec is compared; leave out --codec sonar-space")
    progress = of.progress("stories")
    return precision.run(
        of.open("float32").of_vectors(),
        of.open().of_vectors(),
        stories.held_out(of.count),
        progress=lambda told: progress(told, of.count),
    )


def summary(of: Measured) -> Report:
    """Measure a model's summaries, beside others, of held-out stories or of given documents."""
    others = summaries.baselines()
    if of.texts:
        sets = {Path(path).stem: documents.read(path) for path in of.texts}
        own = summarizers.extractive(of.open().codec)
        return documents.run({**others, **own}, sets, progress=of.progress("summarizers"))
    llm = of.open()
    ours = summarizers.ours(llm.codec, llm.system, llm.summary_training(SummaryOptions()))
    told = stories.stories(of.count)
    return summaries.run({**others, **ours}, told, progress=of.progress("summaries"))

"""`sonar-llm evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.options import machine, model, reencode, report
from sonar_cli.errors import UsageError
from sonar_cli.options import GenerationOptions, ModelRequest, OutputOptions, Runtime

if TYPE_CHECKING:
    from sonar_cli.evaluation.report import Report

_WHAT = "mini|codec|continuations|dtype|summaries"


@click.command(cls=Command, short_help="Measure a model on held-out stories or your texts.")
@argument("what", type=click.Choice(_WHAT.split("|")), metavar=_WHAT, help="What to measure.")
@option(
    "--stories", default=300, show_default=True, type=click.IntRange(1), metavar="N",
    help="How many held-out stories.",
)  # fmt: skip
@option(
    "--texts", multiple=True, metavar="PATH",
    help="For codec and continuations: a file, a folder or a glob of texts; may be given several "
    "times (default: the held-out stories).",
)  # fmt: skip
@option(
    "--known", multiple=True, metavar="PATH",
    help="For continuations: texts whose words are words, beside WordNet's.",
)  # fmt: skip
@option(
    "--show", default=0, show_default=True, type=click.IntRange(0), metavar="N",
    envvar="SONAR_LLM_EVALUATE_SHOW", help="For continuations: print the first of them.",
)  # fmt: skip
@option(
    "--sentences", default=1_000, show_default=True, type=click.IntRange(1), metavar="N",
    envvar="SONAR_LLM_EVALUATE_SENTENCES", help="For codec: how many sentences of each.",
)  # fmt: skip
@reencode
@model
@machine
@report("EVALUATE")
def evaluate(
    what: str,
    stories: int,
    texts: tuple[str, ...],
    known: tuple[str, ...],
    show: int,
    sentences: int,
    reencode: bool,
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Measure a model on held-out stories of the story world, or on texts, and print a table.

    mini: what it gives back and how it continues. codec: how many sentences of any texts come back
    exactly, by their length. continuations: how it continues any texts, in words and sentences of
    its own, and how likely it finds what truly follows. dtype: what --dtype costs, beside float32.
    summaries: ROUGE-L and METEOR of its summaries, beside the first sentences and sumy's systems.
    """
    from sonar_cli import render

    if what == "mini":
        found = _mini(request, runtime, output, stories, GenerationOptions(reencode=reencode))
    elif what == "codec":
        found = _codec(request, runtime, output, stories, texts, sentences)
    elif what == "continuations":
        found = _continuations(request, runtime, output, stories, texts, known, show)
    elif what == "dtype":
        found = _dtype(request, runtime, output, stories)
    else:
        found = _summaries(request, runtime, output, stories)
    with render.opened(output.path) as out:
        render.print_report(found, output.format, out)
    return 0


def _mini(
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
    count: int,
    options: GenerationOptions,
) -> Report:
    from sonar_cli.evaluation import mini

    llm = session.open_model(request, runtime, output)
    return mini.run(llm.of_vectors(), count, options=options, progress=_progress("stories", output))


def _codec(
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
    stories: int,
    paths: tuple[str, ...],
    count: int,
) -> Report:
    from sonar_cli.evaluation import mini, reconstruction

    texts = {path: [each for text in _texts(path, output) for each in text] for path in paths} or {
        "the story world": [s for story in mini.held_out(stories) for s in story]
    }
    codec = session.open_model(request, runtime, output).codec
    return reconstruction.run(codec, texts, count, progress=_progress("sentences", output))


def _continuations(
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
    count: int,
    paths: tuple[str, ...],
    known: tuple[str, ...],
    shown: int,
) -> Report:
    from sonar_cli.evaluation import continuations, mini
    from sonar_cli.evaluation.metrics import words

    texts = [text for path in paths for text in _texts(path, output)]
    texts = texts or [list(story) for story in mini.held_out(count)]
    spelled = {
        word for path in known for text in _texts(path, output) for s in text for word in words(s)
    }
    llm = session.open_model(request, runtime, output)
    return continuations.run(
        llm.of_vectors(), texts, count, spelled, shown,
        progress=_progress("texts", output),
    )  # fmt: skip


def _texts(path: str, output: OutputOptions) -> Iterator[list[str]]:
    from sonar_cli import render
    from sonar_cli.training.recipe import Data
    from sonar_cli.training.texts import documents

    return documents(Data(path=path), render.Notices(not output.quiet))


def _dtype(request: ModelRequest, runtime: Runtime, output: OutputOptions, count: int) -> Report:
    from sonar_cli import render
    from sonar_cli.evaluation import mini, precision

    if runtime.dtype in ("auto", "float32"):
        raise UsageError("what is to be compared to float32? add --dtype int8, for one")
    if request.codec != "native":
        raise UsageError("only our own codec is compared; leave out --codec sonar-space")
    exact, other = (
        session.open_model(request, replace(runtime, dtype=dtype), output)
        for dtype in ("float32", runtime.dtype)
    )
    return precision.run(
        exact.of_vectors(),
        other.of_vectors(),
        mini.held_out(count),
        progress=lambda told: render.progress(told, count, "stories", output.quiet),
    )


def _summaries(
    request: ModelRequest, runtime: Runtime, output: OutputOptions, count: int
) -> Report:
    from sonar_cli.evaluation import mini, summaries, summarizers
    from sonar_cli.options import SummaryOptions

    others = summaries.baselines()
    llm = session.open_model(request, runtime, output)
    training = llm.summary_training(SummaryOptions())
    return summaries.run(
        {**others, **summarizers.ours(llm.of_vectors(), training)},
        mini.stories(count),
        progress=_progress("summaries", output),
    )


def _progress(label: str, output: OutputOptions) -> Callable[..., Any]:
    from sonar_cli import render

    return lambda items, total: render.progress(items, total, label, output.quiet)

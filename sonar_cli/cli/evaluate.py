"""`sonar-llm evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from sonar_cli.cli.declare import Command, option, together
from sonar_cli.cli.generation_options import sampling
from sonar_cli.cli.options import machine, model, report
from sonar_cli.cli.paper import paper
from sonar_cli.cli.parameters import Whole
from sonar_cli.options import GenerationOptions, ModelRequest, OutputOptions, Runtime

if TYPE_CHECKING:
    from sonar_cli.cli.evaluations import Measured
    from sonar_cli.evaluation.report import Report

_stories = option(
    "--stories", default=300, show_default=True, type=Whole(1), metavar="N",
    help="How many held-out stories, or pieces of texts.",
)  # fmt: skip
_texts = option(
    "--texts", multiple=True, metavar="PATH", envvar="SONAR_LLM_EVALUATE_TEXTS",
    help="A file, a folder or a glob of texts; for summaries JSON Lines with "
    '"sentences" or "text", "summaries" and "count". May be given several times '
    "(default: the held-out stories).",
)  # fmt: skip
_measured = together(model, machine, report("EVALUATE"))


@click.group(short_help="Measure a model on held-out stories or your texts.")
def evaluate() -> None:
    """Measure a model on held-out stories of the story world, or on texts, and print a table."""


evaluate.add_command(paper)


@evaluate.command("mini", cls=Command, short_help="What a model gives back and writes.")
@_stories
@sampling
@_measured
def mini(
    stories: int,
    generation: GenerationOptions,
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Measure what a model gives back of held-out stories, and how it continues them."""
    from sonar_cli.cli import evaluations

    of = evaluations.Measured(request, runtime, output, stories)
    return _printed(of, evaluations.mini, generation)


@evaluate.command("codec", cls=Command, short_help="How many sentences come back exactly.")
@_stories
@_texts
@option(
    "--sentences", default=1_000, show_default=True, type=Whole(1), metavar="N",
    envvar="SONAR_LLM_EVALUATE_SENTENCES", help="How many sentences of each text.",
)  # fmt: skip
@_measured
def codec(
    stories: int,
    texts: tuple[str, ...],
    sentences: int,
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Measure how many sentences of any texts come back exactly, by their length."""
    from sonar_cli.cli import evaluations

    of = evaluations.Measured(request, runtime, output, stories, texts)
    return _printed(of, evaluations.codec, sentences)


@evaluate.command("continuations", cls=Command, short_help="How a model continues any texts.")
@_stories
@_texts
@option(
    "--known", multiple=True, metavar="PATH", envvar="SONAR_LLM_EVALUATE_KNOWN",
    help="Texts whose words are words, beside WordNet's.",
)  # fmt: skip
@option(
    "--show", default=0, show_default=True, type=Whole(0), metavar="N",
    envvar="SONAR_LLM_EVALUATE_SHOW", help="Print the first of the continuations.",
)  # fmt: skip
@sampling
@_measured
def continuations(
    stories: int,
    texts: tuple[str, ...],
    known: tuple[str, ...],
    show: int,
    generation: GenerationOptions,
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Measure how a model continues any texts.

    In words and sentences of its own, and how likely it finds what truly follows.
    """
    from sonar_cli.cli import evaluations

    of = evaluations.Measured(request, runtime, output, stories, texts)
    return _printed(of, evaluations.continuation, known, show, generation)


@evaluate.command("dtype", cls=Command, short_help="What --dtype costs, beside float32.")
@_stories
@_measured
def dtype(stories: int, request: ModelRequest, runtime: Runtime, output: OutputOptions) -> int:
    """Measure what --dtype costs, beside float32, on held-out stories."""
    from sonar_cli.cli import evaluations

    of = evaluations.Measured(request, runtime, output, stories)
    return _printed(of, evaluations.dtype)


@evaluate.command("summaries", cls=Command, short_help="Summaries, beside other systems'.")
@_stories
@_texts
@_measured
def summaries(
    stories: int,
    texts: tuple[str, ...],
    request: ModelRequest,
    runtime: Runtime,
    output: OutputOptions,
) -> int:
    """Measure a model's summaries: ROUGE-L and METEOR, beside other systems.

    These are the first sentences and sumy's systems.
    """
    from sonar_cli.cli import evaluations

    of = evaluations.Measured(request, runtime, output, stories, texts)
    return _printed(of, evaluations.summary)


def _printed(of: Measured, measure: Callable[..., Report], *asked: Any) -> int:
    """Print what `measure(of, *asked)` finds; where it goes is opened before the work."""
    from sonar_cli import render
    from sonar_cli.cli import session

    with render.opened(of.output.path, session.read_by(of.request, *of.texts)) as out:
        render.print_report(measure(of, *asked), of.output.format, out)
    return 0

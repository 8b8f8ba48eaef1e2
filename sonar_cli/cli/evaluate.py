"""`sonar-llm evaluate`."""

from __future__ import annotations

import click

from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.generation_options import sampling
from sonar_cli.cli.options import machine, model, report
from sonar_cli.options import GenerationOptions, ModelRequest, OutputOptions, Runtime

_WHAT = "mini|codec|continuations|dtype|summaries"


@click.command(cls=Command, short_help="Measure a model on held-out stories or your texts.")
@argument("what", type=click.Choice(_WHAT.split("|")), metavar=_WHAT, help="What to measure.")
@option(
    "--stories", default=300, show_default=True, type=click.IntRange(1), metavar="N",
    help="How many held-out stories.",
)  # fmt: skip
@option(
    "--texts", multiple=True, metavar="PATH", envvar="SONAR_LLM_EVALUATE_TEXTS",
    help="For codec and continuations: a file, a folder or a glob of texts; for summaries: JSON "
    'Lines with "sentences" or "text", "summaries" and "count". May be given several times '
    "(default: the held-out stories).",
)  # fmt: skip
@option(
    "--known", multiple=True, metavar="PATH", envvar="SONAR_LLM_EVALUATE_KNOWN",
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
@sampling
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
    generation: GenerationOptions,
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
    from sonar_cli.cli import evaluations

    of = evaluations.Measured(request, runtime, output, stories, texts)
    if what == "mini":
        found = evaluations.mini(of, generation)
    elif what == "codec":
        found = evaluations.codec(of, sentences)
    elif what == "continuations":
        found = evaluations.continuation(of, known, show, generation)
    elif what == "dtype":
        found = evaluations.dtype(of)
    else:
        found = evaluations.summary(of)
    with render.opened(output.path) as out:
        render.print_report(found, output.format, out)
    return 0

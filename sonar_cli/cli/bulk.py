"""`sonar-llm bulk`: the commands over inputs of any size."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from sonar_cli.cli import session
from sonar_cli.cli.bulk_options import bulk_options
from sonar_cli.cli.declare import Command, argument
from sonar_cli.cli.generation_options import generation
from sonar_cli.cli.options import batch_size, decoding, machine, model, target_langs
from sonar_cli.cli.summary_options import summary
from sonar_cli.errors import counted
from sonar_cli.options import (
    GenerationOptions,
    InputOptions,
    ModelRequest,
    OutputOptions,
    Runtime,
    SummaryOptions,
)

if TYPE_CHECKING:
    from sonar_cli.bulk.job import BulkOptions, RayOptions
    from sonar_cli.bulk.run import Outcome
    from sonar_cli.bulk.tasks import Task

inputs = argument(
    "inputs", nargs=-1, required=True, metavar="INPUT...",
    help="Files of records: .jsonl, .jsonl.gz or .parquet.",
)  # fmt: skip


@click.group(short_help="Continue, sum up or encode millions of texts.")
def bulk() -> None:
    """Continue, sum up or encode the texts of JSON Lines or Parquet, however many.

    The inputs are cut into shards, and each becomes one file of the folder. A run that was ended,
    however it was, goes on where it stopped.
    """


@bulk.command("continue", cls=Command, short_help="Continue each text.")
@inputs
@bulk_options
@generation
@target_langs
@decoding
@batch_size
@machine
@model
def continue_(generation: GenerationOptions, **asked: Any) -> int:
    """Continue each text: beside a record's own fields come `continuation` and `stop_reason`."""
    from sonar_cli.bulk.tasks import Continue

    return _run(Continue(generation), **asked)


@bulk.command(cls=Command, short_help="Sum up each text in a few sentences.")
@inputs
@bulk_options
@summary
@target_langs
@decoding
@batch_size
@machine
@model
def summarize(summary: SummaryOptions, **asked: Any) -> int:
    """Sum up each text: beside a record's own fields comes `summary`, sentences with sources."""
    from sonar_cli.bulk.tasks import Summarize

    return _run(Summarize(summary), **asked)


@bulk.command(cls=Command, short_help="Turn each text's sentences into vectors.")
@inputs
@bulk_options
@machine
@model
def encode(**asked: Any) -> int:
    """Encode each text: beside a record's own fields come `sentences` and `vectors`."""
    from sonar_cli.bulk.tasks import Encode

    return _run(Encode(), **asked)


def _run(
    task: Task,
    inputs: tuple[str, ...],
    folder: Path,
    request: ModelRequest,
    runtime: Runtime,
    reading: InputOptions,
    records: BulkOptions,
    ray: RayOptions | None,
    output: OutputOptions,
) -> int:
    from sonar_cli import render
    from sonar_cli.bulk.job import Job
    from sonar_cli.bulk.run import run

    if ray is None:
        runtime = session.fitting(request, runtime)
    job = Job(task, inputs, folder, request, runtime, reading, records)
    render.doing("counting the texts", output.quiet)
    began = perf_counter()
    done = run(
        job,
        render.Notices(not output.quiet),
        lambda texts, finished: render.counter(texts, finished, output.quiet),
        ray,
        session.watcher(output).display,
    )
    return _told(done, perf_counter() - began, output)


def _told(done: Outcome, seconds: float, output: OutputOptions) -> int:
    """Say what there is to say of a run; return its exit status."""
    from sonar_cli import render

    session.report_cut(done.cut, output)
    if output.verbose:
        each = f", {seconds / done.made:.4g} s a text" if done.made else ""
        render.say(f"{counted(done.made, 'text')} in {seconds:.1f} s{each}")
    if done.errors:
        render.say(
            f"{done.errors} of {counted(done.texts, 'text')} have an error in place of a result, "
            f"the first in {done.first}"
        )
    return 1 if done.errors else 0

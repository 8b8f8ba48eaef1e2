"""`sonar-llm continue`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument, option
from sonar_cli.cli.generation_options import generation
from sonar_cli.cli.options import (
    OUTPUT,
    batch_size,
    decoding,
    machine,
    model,
    output,
    target_langs,
    text,
)
from sonar_cli.errors import InputError
from sonar_cli.options import (
    GenerationOptions,
    InputOptions,
    ModelRequest,
    OutputOptions,
    Runtime,
    Step,
)

if TYPE_CHECKING:
    from sonar_cli import render
    from sonar_cli.api import SonarLLM

echo = option(
    "--echo", section=OUTPUT, is_flag=True, help="Write the given text first (plain text only)."
)


@click.command("continue", cls=Command, short_help="Continue each text.")
@argument("files", nargs=-1, metavar=session.FILES, help=session.FILES_HELP)
@generation
@text
@target_langs
@decoding
@batch_size
@machine
@model
@output
@echo
def continue_(
    files: tuple[str, ...],
    request: ModelRequest,
    runtime: Runtime,
    reading: InputOptions,
    generation: GenerationOptions,
    output: OutputOptions,
    echo: bool,
) -> int:
    """Continue each text.

    In a pipe every new sentence is a line, and an empty line parts the texts of several files. On
    a terminal the text is shown dimmed and its continuation follows as it is made. With -o what
    was written stays when the run is interrupted.
    """
    from sonar_cli import render

    texts = session.Texts(files, reading)
    if texts.empty:
        return 1
    with render.opened(output.path, session.read_by(request, *texts.names)) as out:
        llm = session.open_model(request, runtime, output)
        llm.check_languages(generation.source_lang, *generation.target_langs)
        llm.load_predictor()
        writer = render.writer(out, output.format, echo, texts.several, generation.target_langs)
        _continue_all(llm, texts, generation, output, render.Turns(writer))
        session.end(texts.failed)
    return 0


def _continue_all(
    llm: SonarLLM,
    texts: session.Texts,
    generation: GenerationOptions,
    output: OutputOptions,
    turns: render.Turns,
) -> None:
    from sonar_cli import render
    from sonar_cli.pipeline import in_order

    def opened() -> Iterator[list[str]]:
        numbers = count()
        for each in texts:
            if sentences := llm.as_trained(each).sentences():
                turns.opened(next(numbers), each.name, sentences)
                yield [sentence.text for sentence in sentences]
            else:
                no_sentence = f"{each.name}: there is no sentence in the text to continue"
                texts.leave_out(InputError(no_sentence))

    cut: list[int] = []
    try:
        for _, step in in_order(llm.continue_many(opened(), generation, cut.append)):
            turns.step(step)
            if output.verbose and step.text is not None:
                render.say(_measured(step))
    finally:
        turns.finish()
    session.report_cut(sum(cut), output)


def _measured(step: Step) -> str:
    fidelity = "" if step.fidelity is None else f", fidelity {step.fidelity:.3f}"
    return f"{step.seconds:.2f} s{fidelity}"

"""`sonar-llm summarize`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from sonar_cli.cli import session
from sonar_cli.cli.declare import Command, argument
from sonar_cli.cli.options import (
    batch_size,
    decoding,
    machine,
    model,
    output,
    target_langs,
    text,
)
from sonar_cli.cli.summary_options import cache, shown, summary
from sonar_cli.errors import CacheError, SonarError, UsageError
from sonar_cli.options import (
    CacheOptions,
    InputOptions,
    ModelRequest,
    OutputOptions,
    Runtime,
    Summary,
    SummaryOptions,
)

if TYPE_CHECKING:
    from sonar_cli.api import SonarLLM
    from sonar_cli.summary.cache import VectorCache
    from sonar_cli.summary.document import Document
    from sonar_cli.text.inputs import Text


@click.command(cls=Command, short_help="Sum up each text in a few sentences.")
@argument("files", nargs=-1, metavar=session.FILES, help=session.FILES_HELP)
@summary
@shown
@text
@target_langs
@decoding
@cache
@model
@machine
@batch_size
@output
def summarize(
    files: tuple[str, ...],
    request: ModelRequest,
    runtime: Runtime,
    reading: InputOptions,
    summary: SummaryOptions,
    cache: CacheOptions,
    output: OutputOptions,
    cite: bool,
    keep_headings: bool,
) -> int:
    """Sum up each text in a few sentences.

    By default they are sentences of the text, or new ones that the text supports where the model
    has learned to write them. In a pipe every sentence is a line, and an empty line parts the
    summaries of several texts. A text that is no longer than its summary comes back whole.
    """
    from sonar_cli import render
    from sonar_cli.summary.plan import may_write

    texts = session.Texts(files, reading)
    if texts.empty:
        return 1
    failed = False
    read = session.read_by(request, *texts.names)
    with render.opened(output.path, read) as out, _opened(cache, output) as store:
        llm = session.open_model(request, runtime, output, may_write(request.model, summary))
        llm.check_languages(summary.source_lang, *summary.target_langs)
        llm.summary_training(summary)
        shown = render.Summaries(
            out, output.format, cite=cite, headings=keep_headings, langs=summary.target_langs
        )
        for each, document in _read(llm, texts, summary, store, output):
            try:
                found = _summary(llm, document, summary, output)
            except UsageError:
                raise
            except SonarError as error:
                render.say(f"{each.name}: {error}")
                failed = True
            else:
                shown.write(each.name, found)
        session.end(failed or texts.failed)
    return 0


def _read(
    llm: SonarLLM,
    texts: Iterable[Text],
    options: SummaryOptions,
    store: VectorCache | None,
    output: OutputOptions,
) -> Iterator[tuple[Text, Document | SonarError]]:
    """Yield each text and what was read of it; short ones are read together."""
    from sonar_cli import render
    from sonar_cli.text.inputs import together

    for some in together(texts):
        length = sum(len(each.content) for each in some)
        with render.bar(length, "reading", output.quiet) as on_read:
            found = llm.read(some, options, cache=store, on_read=on_read)
        yield from zip(some, found, strict=True)


def _summary(
    llm: SonarLLM, document: Document | SonarError, options: SummaryOptions, output: OutputOptions
) -> Summary:
    from sonar_cli import render

    def progress(parts: Iterable[range]) -> Iterable[range]:
        of = list(parts)
        return render.progress(of, len(of), "writing", output.quiet or len(of) == 1)

    if isinstance(document, SonarError):
        raise document
    return llm.summarize(document, options, progress=progress)


@contextmanager
def _opened(asked: CacheOptions, output: OutputOptions) -> Iterator[VectorCache | None]:
    """Open the cache, or go on without one where it is not wanted or cannot be had."""
    from sonar_cli import render
    from sonar_cli.summary import cache

    if not asked.enabled:
        yield None
        return
    folder = asked.folder or cache.default_folder()
    with ExitStack() as stack:
        store = None
        try:
            told = render.Notices(not output.quiet)
            store = stack.enter_context(cache.opened(folder, asked.mebibytes << 20, told))
        except CacheError as error:
            if not output.quiet:
                render.say(f"no cache of vectors in {folder} ({error}); going on without it")
        yield store

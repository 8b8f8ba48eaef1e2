"""What the commands share: the texts that are given, and the model that is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from sonar_cli import render
from sonar_cli.cores import cores
from sonar_cli.errors import SonarError, UsageError, counted
from sonar_cli.options import InputOptions, ModelRequest, OutputOptions, Runtime

if TYPE_CHECKING:
    from sonar_cli.api import SonarLLM
    from sonar_cli.hub.download import Watcher
    from sonar_cli.text.inputs import Text

FILES = "[FILE|-]..."
FILES_HELP = "The texts; - or nothing: standard input."


def names(files: tuple[str, ...]) -> list[str]:
    """Return the files to read: standard input where none is named."""
    found = list(files or ("-",))
    if "-" in found and sys.stdin.isatty():
        raise UsageError("give a FILE, or pipe a text in")
    return found


def read_by(request: ModelRequest | None, *files: str) -> list[str]:
    """Return the names of the files that are read, which no output may take the place of."""
    if request is None:
        return list(files)
    parts = (request.config, request.encoder, request.decoder, request.tokenizer)
    return [*files, request.model, *(each for each in parts if each)]


def end(failed: bool) -> None:
    """End the command with status 1 if something `failed`, which has been said.

    Within `render.opened` a file that nothing was written to then stays as it was.
    """
    if failed:
        click.get_current_context().exit(1)


class Texts:
    """The texts of the files that are named, read one by one as they are asked for.

    A file that cannot be read is said in a line, and `failed` is then True. The first two are read
    at once, so that what is needed only for some text, or for several, is known.
    """

    def __init__(self, files: tuple[str, ...], options: InputOptions) -> None:
        from sonar_cli.text.inputs import read_texts

        self.failed = False
        self.names = names(files)
        texts = read_texts(self.names, options, self.leave_out)
        first = list(islice(texts, 2))
        self.empty, self.several = not first, len(first) > 1
        self._texts = chain(first, texts)

    def __iter__(self) -> Iterator[Text]:
        return self._texts

    def leave_out(self, error: SonarError) -> None:
        """Say what is wrong with a text, and go on with the others."""
        render.say(str(error))
        self.failed = True


def open_model(
    request: ModelRequest, runtime: Runtime, output: OutputOptions, predictor: bool = True
) -> SonarLLM:
    """Load a model; what it has to tell is said on stderr, each line once."""
    from sonar_cli.api import SonarLLM

    return SonarLLM.open(
        request,
        fitting(request, runtime),
        predictor=predictor,
        display=watcher(output).display,
        notify=render.Notices(not output.quiet),
        detail=render.Notices(output.verbose),
    )


def watcher(output: OutputOptions) -> Watcher:
    """Return who is told of downloads: stderr, unless nothing is wanted there."""
    from sonar_cli.hub.download import Watcher

    return Watcher(render.Notices(not output.quiet), partial(render.downloads, output.quiet))


def fitting(request: ModelRequest, runtime: Runtime) -> Runtime:
    """Return how a model runs best where its threads are left open."""
    if request.embedded and runtime.threads is None:
        # Its matrices are too small to be shared: threads would mostly wait for one another, and
        # much longer where another process has their core. Batches of its sentences are not.
        return replace(runtime, threads=1, workers=cores())
    return runtime


def report_cut(count: int, output: OutputOptions) -> None:
    """Say how many sentences the encoder had to cut, if any."""
    if count and not output.quiet:
        render.say(f"cut {counted(count, 'sentence')} longer than the encoder reads")

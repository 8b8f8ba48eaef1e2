"""What the user sees: plain text and JSON Lines in pipes, running prose on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

from sonar_cli.config import Step

if TYPE_CHECKING:
    from rich.console import Console

    from sonar_cli.evaluation.tables import Row
    from sonar_cli.sentences import Sentence
    from sonar_cli.store import KnownModel

Item = TypeVar("Item")


class Writer(Protocol):
    """Shows the continuations of one text after another."""

    def begin(self, file: str, prompt: Sequence[Sentence]) -> None:
        """Begin a text."""

    def step(self, step: Step) -> None:
        """Take the next Step of the text."""

    def finish(self) -> None:
        """End the text."""


def writer(out: TextIO, format: str, echo: bool, multiple: bool, terminal: bool) -> Writer:
    """Choose how continuations are written to `out`."""
    if format == "jsonl":
        return JsonLines(out)
    if terminal:
        return Terminal(multiple)
    return Lines(out, echo)


class Lines:
    """A line a sentence, flushed at once; an empty line between the texts of several files."""

    def __init__(self, out: TextIO, echo: bool) -> None:
        self.out = out
        self.echo = echo
        self.texts = 0

    def begin(self, file: str, prompt: Sequence[Sentence]) -> None:
        """Separate the texts, and write the prompt first if it is to be echoed."""
        from sonar_cli.sentences import join

        if self.texts:
            self._write("")
        self.texts += 1
        if self.echo:
            self._write(join(prompt))

    def step(self, step: Step) -> None:
        """Write a sentence at once."""
        if step.text is not None:
            self._write(step.text)

    def finish(self) -> None:
        """Nothing is held back."""

    def _write(self, line: str) -> None:
        self.out.write(line + "\n")
        self.out.flush()


class JsonLines:
    """One object a sentence; each waits until the next Step tells whether it was the last."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.file = ""
        self.held: Step | None = None

    def begin(self, file: str, prompt: Sequence[Sentence]) -> None:
        """Remember the text's name."""
        self.file = file

    def step(self, step: Step) -> None:
        """Write the Step before; the closing Step's reason goes to the last sentence."""
        if step.stop_reason is None:
            self.finish()
            self.held = step
        elif self.held is None:
            self.held = step
        else:
            self.held = replace(self.held, stop_reason=step.stop_reason)

    def finish(self) -> None:
        """Write what is held back."""
        if self.held is not None:
            record = {"file": self.file, **asdict(self.held)}
            self.out.write(json.dumps(record, ensure_ascii=False) + "\n")
            self.out.flush()
        self.held = None


class Terminal:
    """The prompt dimmed, then the continuation as prose, sentence by sentence."""

    def __init__(self, multiple: bool) -> None:
        self.console = _console(sys.stdout)
        self.multiple = multiple
        self.column = 0

    def begin(self, file: str, prompt: Sequence[Sentence]) -> None:
        """Show the prompt dimmed, under the file's name where there are several."""
        from sonar_cli.sentences import join

        if self.multiple:
            self.console.rule(file, style="dim")
        self.column = 0
        paragraphs = join(prompt).split("\n")
        for line in paragraphs[:-1]:
            self._flow(line, "dim")
            self._break()
        self._flow(paragraphs[-1], "dim")

    def step(self, step: Step) -> None:
        """Let a sentence follow."""
        if step.text is not None:
            self._flow(step.text, "")

    def finish(self) -> None:
        """End the line."""
        self._break()

    def _flow(self, text: str, style: str) -> None:
        """Write words after what is there, breaking lines at the terminal's width."""
        from rich.cells import cell_len

        for word in text.split():
            width = cell_len(word)
            if self.column and self.column + 1 + width > self.console.width:
                self._break()
            gap = " " if self.column else ""
            self.console.print(gap + word, style=style, end="", markup=False, highlight=False)
            self.column += len(gap) + width
        self.console.file.flush()

    def _break(self) -> None:
        self.console.print()
        self.column = 0


def notice(line: str) -> None:
    """Say something beside the product, on stderr."""
    print(f"sonar-llm: {line}", file=sys.stderr, flush=True)


def doing(line: str, quiet: bool) -> None:
    """Say on stderr what is being done, where it is a terminal."""
    if not quiet and sys.stderr.isatty():
        notice(line)


def progress(items: Iterable[Item], total: int, label: str, quiet: bool) -> Iterator[Item]:
    """Pass items through, with a bar on stderr where it is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, label, total=total, console=_console(sys.stderr), transient=True)


def print_rows(rows: Sequence[Row], format: str, out: TextIO) -> None:
    """Print an evaluation's rows: a table on a terminal, Markdown in a pipe, or JSON Lines."""
    from sonar_cli.evaluation.tables import json_lines, markdown

    if format == "jsonl":
        out.write(json_lines(rows) + "\n")
    elif out is sys.stdout and out.isatty():
        from rich.markdown import Markdown

        _console(out).print(Markdown(markdown(rows)))
    else:
        out.write(markdown(rows) + "\n")


def print_models(models: Sequence[KnownModel], format: str) -> None:
    """Print the models that have names, aligned or as JSON Lines."""
    if format == "jsonl":
        for model in models:
            print(json.dumps(asdict(model)))
        return
    for model in models:
        here = "here" if model.present else "to be downloaded"
        print(f"{model.name:<6} {model.parameters:<20} {model.source:<26} {here}")


def _console(file: TextIO) -> Console:
    from rich.console import Console

    return Console(file=file, soft_wrap=True, highlight=False)

"""Continuations: a line a sentence, JSON Lines, or running prose on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Protocol, TextIO

from sonar_cli.options import Step
from sonar_cli.render.progress import console

if TYPE_CHECKING:
    from sonar_cli.text.sentences import Joined


class Writer(Protocol):
    """Shows the continuations of one text after another."""

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Begin a text; `lang` names what it is shown in where languages were asked for."""

    def step(self, step: Step) -> None:
        """Take the next Step of the text."""

    def finish(self) -> None:
        """End the text."""


def writer(
    out: TextIO,
    format: str,
    echo: bool,
    multiple: bool,
    terminal: bool,
    langs: Sequence[str] = (),
) -> Writer:
    """Choose how continuations are written to `out`, in their own or in other languages."""
    if format == "jsonl":
        plain: Writer = JsonLines(out)
    elif terminal:
        plain = Terminal(multiple or len(langs) > 1)
    else:
        plain = Lines(out, echo)
    return Languages(plain, langs) if langs else plain


class Turns:
    """Lets a writer begin each text as soon as those before it have ended, and not before.

    Texts are opened ahead of their turn where several are written side by side.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.turn = 0
        self.begun = False
        self.waiting: dict[int, tuple[str, Sequence[Joined]]] = {}

    def opened(self, number: int, name: str, prompt: Sequence[Joined]) -> None:
        """Take a text that will be continued; texts are numbered from 0 in the order shown."""
        self.waiting[number] = (name, prompt)
        self._begin()

    def step(self, step: Step) -> None:
        """Show the next Step of the text whose turn it is; its last one ends the text."""
        self.writer.step(step)
        if step.stop_reason:
            self.finish()
            self.turn += 1
            self._begin()

    def finish(self) -> None:
        """End the text that was begun, also where it was interrupted."""
        if self.begun:
            self.begun = False
            self.writer.finish()

    def _begin(self) -> None:
        if not self.begun and self.turn in self.waiting:
            self.begun = True
            self.writer.begin(*self.waiting.pop(self.turn))


class Languages:
    """The same text in several languages: the first as it is made, the others when it has ended."""

    def __init__(self, plain: Writer, langs: Sequence[str]) -> None:
        self.plain = plain
        self.langs = langs
        self.begun: tuple[str, Sequence[Joined]] | None = None
        self.steps: list[Step] = []

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Begin the text in the first language."""
        self.begun, self.steps = (file, prompt), []
        self.plain.begin(self._title(file, 0), prompt, self.langs[0])

    def step(self, step: Step) -> None:
        """Show the Step in the first language; keep it for the others."""
        self.steps.append(step)
        self._show(step, 0)

    def finish(self) -> None:
        """End the first language and write the others, which were held back."""
        self.plain.finish()
        if self.begun is None:
            return
        file, prompt = self.begun
        self.begun = None
        for number in range(1, len(self.langs)):
            self.plain.begin(self._title(file, number), prompt, self.langs[number])
            for step in self.steps:
                self._show(step, number)
            self.plain.finish()

    def _show(self, step: Step, number: int) -> None:
        text = step.texts[number] if step.texts else step.text
        self.plain.step(replace(step, text=text))

    def _title(self, file: str, number: int) -> str:
        if isinstance(self.plain, Terminal) and len(self.langs) > 1:
            return f"{file} ({self.langs[number]})"
        return file


class Lines:
    """A line a sentence, flushed at once; an empty line between the texts of several files."""

    def __init__(self, out: TextIO, echo: bool) -> None:
        self.out = out
        self.echo = echo
        self.texts = 0

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Separate the texts, and write the prompt first if it is to be echoed."""
        from sonar_cli.text.sentences import join

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
        """Do nothing: every sentence was written at once."""

    def _write(self, line: str) -> None:
        self.out.write(line + "\n")
        self.out.flush()


class JsonLines:
    """One object a sentence; each waits until the next Step tells whether it was the last."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.file = ""
        self.lang: str | None = None
        self.held: Step | None = None

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Remember the text's name and language."""
        self.file, self.lang = file, lang

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
            del record["texts"]
            if self.lang is not None:
                record["lang"] = self.lang
            self.out.write(json.dumps(record, ensure_ascii=False) + "\n")
            self.out.flush()
        self.held = None


class Terminal:
    """The prompt dimmed, then the continuation as prose, sentence by sentence."""

    def __init__(self, multiple: bool) -> None:
        self.console = console(sys.stdout)
        self.multiple = multiple
        self.column = 0

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Show the prompt dimmed, under the file's name where there are several."""
        from sonar_cli.text.sentences import join

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

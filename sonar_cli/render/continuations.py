"""Show continuations: one sentence per line, JSON Lines, or running prose on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Protocol, TextIO

from sonar_cli.options import Step
from sonar_cli.render.progress import console
from sonar_cli.render.visible import as_json, visible

if TYPE_CHECKING:
    from sonar_cli.text.sentences import Joined


class Writer(Protocol):
    """Writes the continuations of texts, one text after another."""

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Begin a text. `lang` is its language if languages were asked for, otherwise None."""

    def step(self, step: Step) -> None:
        """Write the next Step of the text."""

    def finish(self) -> None:
        """End the text."""


def writer(
    out: TextIO,
    format: str,
    echo: bool,
    multiple: bool,
    langs: Sequence[str] = (),
) -> Writer:
    """Return the writer of continuations to `out` for a format, "text" or "jsonl".

    `multiple` tells that there are several texts. `echo` also writes the prompts where sentences
    are plain lines. With `langs`, each text is written in all of these languages.
    """
    if format == "jsonl":
        plain: Writer = JsonLines(out)
    elif out.isatty():
        plain = Terminal(out, multiple or len(langs) > 1)
    else:
        plain = Lines(out, echo)
    return Languages(plain, langs) if langs else plain


class Turns:
    """Passes texts to a writer, each when the one before has ended.

    If several texts are generated side by side, they are opened before it is their turn.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.turn = 0
        self.begun = False
        self.waiting: dict[int, tuple[str, Sequence[Joined]]] = {}

    def opened(self, number: int, name: str, prompt: Sequence[Joined]) -> None:
        """Announce a text. Texts are numbered from 0, in the order in which they are shown."""
        self.waiting[number] = (name, prompt)
        self._begin()

    def step(self, step: Step) -> None:
        """Write the next Step of the text whose turn it is. Its last Step ends the text."""
        self.writer.step(step)
        if step.stop_reason:
            self.finish()
            self.turn += 1
            self._begin()

    def finish(self) -> None:
        """End the current text, which may have been interrupted."""
        if self.begun:
            self.begun = False
            self.writer.finish()

    def _begin(self) -> None:
        if not self.begun and self.turn in self.waiting:
            self.begun = True
            self.writer.begin(*self.waiting.pop(self.turn))


class Languages:
    """Writes a text in several languages: the first at once, the others when it has ended."""

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
        """Write the Step in the first language, and keep it for the others."""
        self.steps.append(step)
        self._show(step, 0)

    def finish(self) -> None:
        """End the text in the first language, then write it in the others."""
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
    """Writes one sentence per line at once, and an empty line between texts."""

    def __init__(self, out: TextIO, echo: bool) -> None:
        self.out = out
        self.echo = echo
        self.texts = 0

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Write an empty line after an earlier text, then the prompt if it is to be echoed."""
        from sonar_cli.text.sentences import join

        if self.texts:
            self._write("")
        self.texts += 1
        if self.echo:
            self._write(join(prompt))

    def step(self, step: Step) -> None:
        """Write the sentence of a Step and flush."""
        if step.text is not None:
            self._write(step.text)

    def finish(self) -> None:
        """Do nothing, because every sentence has been written."""

    def _write(self, line: str) -> None:
        self.out.write(line + "\n")
        self.out.flush()


class JsonLines:
    """Writes one JSON object per sentence, after the next Step has shown if it was the last one."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.file = ""
        self.lang: str | None = None
        self.held: Step | None = None

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Keep the text's name and language for its objects."""
        self.file, self.lang = file, lang

    def step(self, step: Step) -> None:
        """Write the Step before this one. The last sentence gets the reason of the closing Step."""
        if step.stop_reason is None:
            self.finish()
            self.held = step
        elif self.held is None:
            self.held = step
        else:
            self.held = replace(self.held, stop_reason=step.stop_reason)

    def finish(self) -> None:
        """Write the Step that is held back, if there is one."""
        if self.held is not None:
            record = {"file": self.file, **asdict(self.held)}
            del record["texts"]
            if self.lang is not None:
                record["lang"] = self.lang
            self.out.write(as_json(record, self.out) + "\n")
            self.out.flush()
        self.held = None


class Terminal:
    """Writes the prompt dimmed, then the continuation as prose, sentence by sentence.

    Where nothing can be dimmed, the continuation begins on a line of its own.
    """

    def __init__(self, out: TextIO, multiple: bool) -> None:
        self.console = console(out)
        self.multiple = multiple
        self.column = 0

    def begin(self, file: str, prompt: Sequence[Joined], lang: str | None = None) -> None:
        """Write the prompt dimmed, under the file's name if there are several texts."""
        from sonar_cli.text.sentences import join

        if self.multiple:
            self.console.rule(visible(file), style="dim")
        self.column = 0
        paragraphs = join(prompt).split("\n")
        for line in paragraphs[:-1]:
            self._flow(line, "dim")
            self._break()
        self._flow(paragraphs[-1], "dim")
        if self.console.color_system is None:  # what is new does not look other than the prompt
            self._break()

    def step(self, step: Step) -> None:
        """Write the sentence of a Step after the text so far."""
        if step.text is not None:
            self._flow(step.text, "")

    def finish(self) -> None:
        """End the line."""
        self._break()

    def _flow(self, text: str, style: str) -> None:
        """Write words after the text so far, with line breaks at the terminal's width."""
        from rich.cells import cell_len

        for word in visible(text).split():
            width = cell_len(word)
            if self.column and self.column + 1 + width > self.console.width:
                self._break()
            gap = " " if self.column else ""
            self.console.print(gap + word, style=style, end="")
            self.column += len(gap) + width
        self.console.file.flush()

    def _break(self) -> None:
        self.console.print()
        self.column = 0

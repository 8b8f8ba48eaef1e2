"""Show summaries: one sentence per line, JSON Lines with sources, or a panel on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TextIO

from sonar_cli.errors import counted
from sonar_cli.options import Summary, SummarySentence
from sonar_cli.render.progress import console
from sonar_cli.render.visible import as_json, visible


class Summaries:
    """Writes the summaries of texts to `out`, each in all of `langs` if there are any.

    With the `format` "jsonl", each sentence is a JSON object. On a terminal, each summary is a
    panel. Otherwise each sentence is a line, with an empty line between two summaries, and above
    and below a heading. `cite` adds the numbers of the sources to lines, which panels always have;
    `headings` adds the text's headings.
    """

    def __init__(
        self,
        out: TextIO,
        format: str,
        *,
        cite: bool = False,
        headings: bool = False,
        langs: Sequence[str] = (),
    ) -> None:
        self.out = out
        self.format = format
        self.cite = cite
        self.headings = headings
        self.langs = langs
        self.terminal = out.isatty()
        self.blocks = 0

    def write(self, file: str, summary: Summary) -> None:
        """Write the summary of a text, which comes from `file`."""
        for number, lang in enumerate(self.langs or (None,)):
            said = [
                replace(each, text=each.texts[number] if each.texts else each.text)
                for each in summary.sentences
            ]
            if self.format == "jsonl":
                self._objects(file, lang, said)
            elif self.terminal:
                title = f"{file} ({lang})" if lang else file
                self._panel(title, replace(summary, sentences=tuple(said)))
            else:
                self._lines(said)
        self.out.flush()

    def _objects(self, file: str, lang: str | None, sentences: Sequence[SummarySentence]) -> None:
        for index, each in enumerate(sentences):
            record: dict[str, object] = {"file": file, "index": index, "text": each.text}
            if lang:
                record["lang"] = lang
            if self.headings:
                record["heading"] = each.heading
            record |= {"method": each.method, "support": each.support}
            record["sources"] = [asdict(of) for of in each.sources]
            self.out.write(as_json(record, self.out) + "\n")

    def _lines(self, sentences: Sequence[SummarySentence]) -> None:
        if self.blocks:
            self.out.write("\n")
        self.blocks += 1
        first = True
        for heading, each in self._under_headings(sentences):
            if heading:
                self.out.write(("" if first else "\n") + heading + "\n\n")
            first = False
            self.out.write(each.text + self._citation(each) + "\n")

    def _panel(self, title: str, summary: Summary) -> None:
        from rich.panel import Panel
        from rich.text import Text

        body = Text()
        for heading, each in self._under_headings(summary.sentences):
            if heading:
                body.append(("\n\n" if body else "") + visible(heading) + "\n", "bold")
            elif body:
                body.append(" ")
            body.append(visible(each.text))
            body.append(citation(each), "dim")
        panel = Panel(body, title=Text(visible(title)), subtitle=shorter(summary), padding=(1, 2))
        console(self.out).print(panel, soft_wrap=False)

    def _under_headings(
        self, sentences: Sequence[SummarySentence]
    ) -> Iterator[tuple[str | None, SummarySentence]]:
        """Yield each sentence with the heading to show above it, None if it does not change."""
        last = None
        for each in sentences:
            new = each.heading if self.headings and each.heading != last else None
            last = each.heading
            yield new, each

    def _citation(self, sentence: SummarySentence) -> str:
        return citation(sentence) if self.cite else ""


def citation(sentence: SummarySentence) -> str:
    """Return the numbers of a sentence's sources, counted from 1, in brackets.

    >>> from sonar_cli.options import Source
    >>> citation(SummarySentence("Tom ran.", (Source(2, 30, 38, 1.0),), "extractive"))
    ' [3]'
    """
    return f" [{', '.join(str(source.index + 1) for source in sentence.sources)}]"


def shorter(summary: Summary) -> str:
    """Return a line that says how much shorter a summary is than its text.

    >>> from sonar_cli.options import Summary
    >>> said = SummarySentence("Tom ran.", (), "extractive")
    >>> shorter(Summary((said,), of=20, length=120))
    '1 of 20 sentences, 5 % of the text'
    """
    length = sum(sum(map(str.isalnum, each.text)) for each in summary.sentences)
    share = 100 * length / max(1, summary.length)
    shown = f"{share:.0f}" if share >= 1 else f"{share:.1g}"
    count = len(summary.sentences)
    if new := sum(each.method == "abstractive" for each in summary.sentences):
        said = f"{counted(count, 'sentence')} for {summary.of}"
        return f"{said}, {new} of them new, {shown} % of the text"
    return f"{count} of {counted(summary.of, 'sentence')}, {shown} % of the text"

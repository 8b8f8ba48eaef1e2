"""Split documents (plain text, Markdown and its like, HTML, mail, ...) into sentences.

A text is cut into blocks (`blocks.py`), such as paragraphs, headings and tables. Each block loses
its markup and is split into sentences, which keep their offsets in the document and their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sonar_cli.options import SplitMode
from sonar_cli.text import asciidoc, chat, html, latex, mail, org, pages, rst, subtitles
from sonar_cli.text.blocks import Block, Kind
from sonar_cli.text.charsets import even
from sonar_cli.text.clauses import shorten
from sonar_cli.text.formats import Format, detect
from sonar_cli.text.sentences import iter_split

__all__ = ["CANDIDATES", "CONTINUED", "Format", "Passage", "detect", "passages"]

# The kinds of sentences that an extractive summary may choose.
CANDIDATES: frozenset[Kind] = frozenset({"prose", "quote"})
# The kinds of sentences that a model continues.
CONTINUED: frozenset[Kind] = frozenset({"prose", "quote", "heading"})

_READERS: dict[Format, Callable[[str], Iterator[Block]]] = {
    "text": pages.blocks,
    "html": html.blocks,
    "subtitles": subtitles.blocks,
    "chat": chat.blocks,
    "rst": rst.blocks,
    "asciidoc": asciidoc.blocks,
    "org": org.blocks,
    "latex": latex.blocks,
}


@dataclass(frozen=True)
class Passage:
    """A sentence of a document.

    `text` is what the encoder reads, without markup and with white space collapsed. `start` and
    `end` are character offsets in the document, and what is between them holds the whole sentence.
    In a mail that must be decoded they count in the text of the parts that are read, one after the
    other. `paragraph` is the number of the paragraph in the document, from 0. `line` is True where
    the sentence begins a line of its own inside its paragraph.
    """

    text: str
    start: int
    end: int
    paragraph: int
    kind: Kind
    line: bool = False


def passages(
    text: str,
    format: Format | None = None,
    mode: SplitMode = "auto",
    lang: str = "eng_Latn",
    name: str = "",
    length: Callable[[str], int] | None = None,
    limit: int = 0,
) -> Iterator[Passage]:
    """Yield a document's sentences one by one.

    Of plain text one block or page is held in memory, of other documents all that was parsed.
    Without a `format`, `detect` finds it from the text and the file's `name`. `lang` is a
    FLORES-200 code. If `length`, which counts the tokens of a sentence, is given, sentences of more
    than `limit` tokens are cut. With mode "lines" every line is a sentence of prose, and markup is
    not parsed; with mode "punkt" plain text is not either. Raises InputError for a mail without
    readable text.

    >>> found = passages("# A kite\\n\\nTom *found* it. He ran.\\n", "markdown")
    >>> [(each.kind, each.text, each.start) for each in found]
    [('heading', 'A kite', 2), ('prose', 'Tom found it.', 10), ('prose', 'He ran.', 26)]
    """
    paragraph = -1
    for part in _blocks(text, format, mode, name):
        last = None
        found = iter_split(part.text, mode, lang)
        if length:
            found = shorten(found, part.text, length, limit, lang)
        for each in found:
            if each.paragraph != last:
                last, paragraph = each.paragraph, paragraph + 1
            start, end = part.where(each.start, each.end)
            yield Passage(each.text, start, end, paragraph, part.kind, each.line)


def _blocks(text: str, format: Format | None, mode: SplitMode, name: str) -> Iterator[Block]:
    format = format or detect(text, name)
    if format == "mail" and mode != "lines":
        # A mail's text may hold bytes of its own character set; `mail` decodes them.
        return mail.blocks(text)
    text = even(text)
    if mode == "lines" or (mode == "punkt" and format == "text"):
        return iter([Block(text, "prose")])
    if format == "markdown":
        # Imported here: it takes a tenth of a second, and most texts are plain.
        from sonar_cli.text import markdown

        return markdown.blocks(text)
    return _READERS[format](text)

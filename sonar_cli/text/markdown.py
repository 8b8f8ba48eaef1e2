"""Markdown (CommonMark with GitHub's tables, footnotes and alerts) as blocks.

markdown-it-py finds the blocks and says in which lines each one stands; `inline` removes the markup
inside them. A text is parsed as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt, rules_block
from markdown_it.common.utils import normalizeReference
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from sonar_cli.text import html, inline
from sonar_cli.text.blocks import Block, Kind, block, of_lines
from sonar_cli.text.plain import reads_as_prose

# Quotations and list items in one another; each level takes several of Python's stack frames.
_NESTING = 60
# Lines that a link's definition may take.
_DEFINITION_LINES = 20
# Front matter: a line of signs, fields such as "title: Kites" and a line of signs again.
_FRONT = re.compile(r"(---|\+\+\+)[ \t]*\n(?:#[^\n]*\n)*(?=\S)")
_FIELD = re.compile(r"[\w.$\"'-][^\n]{0,200}?(?::(?=[ \t\n])|[ \t]*=)|\[[^\n]*\][ \t]*\n")
_FRONT_LINE = re.compile(r"[ \t]*(?:#|- |[^\s:=]+[ \t]*[:=]|\n)|[ \t]+\S|[\]})-]")
_LABEL = re.compile(r"(?<![\w\]])\[[^\[\]]+\]\[([^\[\]]+)\]")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:[ \t]*")
_ALERT = re.compile(r"\[!\w+\][+-]?[ \t]*")
_TASK = re.compile(r"\[[ xX]\][ \t]+")
_MARKS = re.compile(r"(?:[ \t]*(?:>|[-*+](?=\s)|\d{1,9}[.)](?=\s)))*[ \t]*")


def blocks(text: str) -> Iterator[Block]:
    """Yield a Markdown text's blocks in order, without thematic breaks and link definitions.

    Line ends must be line feeds, as `documents.passages` makes them.

    >>> [(each.kind, each.text) for each in blocks("# Top\\n\\nSome *words* here.\\n")]
    [('heading', 'Top'), ('prose', 'Some words here.')]
    """
    start = int(text.startswith("\ufeff"))
    front = _front_matter(text, start)
    if front > start:
        yield block(text, start, front, "code")
    for each in _Reader(text[front:]).blocks():
        yield each.moved(front) if front else each


def _front_matter(text: str, start: int) -> int:
    """Return where the front matter ends that begins at `start`, or `start`."""
    opening = _FRONT.match(text, start)
    if not opening or not _FIELD.match(text, opening.end()):
        return start
    closing = re.compile(rf"(?:{re.escape(opening[1])}|\.\.\.)[ \t]*(?:\n|\Z)")
    at = opening.end()
    while at < len(text):
        if found := closing.match(text, at):
            return found.end()
        if not _FRONT_LINE.match(text, at):
            return start
        at = (text.find("\n", at) + 1) or len(text)
    return start


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": _NESTING}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    parser.block.ruler.at("reference", _definition)
    return parser


def _definition(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a link definition in few lines: the rule looks at all lines up to an empty one."""
    last = state.lineMax
    state.lineMax = min(last, start + _DEFINITION_LINES)
    try:
        return rules_block.reference(state, start, end, silent)
    finally:
        state.lineMax = last


class _Reader:
    """Reads the blocks of one text; `lines` are the offsets at which its lines begin."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = [0, *(each.end() for each in re.finditer("\n", text)), len(text)]
        self.references: dict[str, Any] = {}
        self.quotes = 0

    def blocks(self) -> Iterator[Block]:
        tokens = _parser().parse(self.text, {"references": self.references})
        for label in _LABEL.findall(self.text):
            # A link whose definition is missing, in an excerpt say, is still a link.
            self.references.setdefault(normalizeReference(label), {"href": "", "title": ""})
        in_table = False
        for index, token in enumerate(tokens):
            if token.type == "blockquote_open":
                self.quotes += 1
            elif token.type == "blockquote_close":
                self.quotes -= 1
            if token.type in ("table_open", "table_close"):
                in_table = token.nesting > 0
                if in_table:
                    yield self.raw(token, "table")
            elif token.type == "inline" and not in_table:
                yield self.inline(token, tokens[max(index - 2, 0) : index])
            elif token.type == "fence":
                yield self.raw(token, "code")
            elif token.type == "code_block":
                yield self.indented(token)
            elif token.type == "html_block":
                yield from self.html(token)
            elif token.nesting > 0 and tokens[index + 1].nesting < 0 and token.level + 3 > _NESTING:
                yield self.too_deep(token)

    @property
    def kind(self) -> Kind:
        """The kind of running text at this place."""
        return "quote" if self.quotes else "prose"

    def raw(self, token: Token, kind: Kind) -> Block:
        """Return a token's lines as they are."""
        first, last = token.map or (0, 0)
        return block(self.text, self.lines[first], self.lines[last], kind)

    def inline(self, token: Token, before: list[Token]) -> Block:
        """Return a paragraph or a heading without its markup; `before` are the tokens before it."""
        spans = list(self.spans(token, before[-1].markup if before else ""))
        around = before[0].type if before else ""
        mark = {"blockquote_open": _ALERT, "list_item_open": _TASK}.get(around, _FOOTNOTE)
        if found := mark.match(self.text, *spans[0]):
            spans[0] = (found.end(), spans[0][1])
        kind = "heading" if before and before[-1].type == "heading_open" else self.kind
        made = of_lines(self.text, spans, kind)
        return made.edited(inline.edits(made.text, self.references))

    def spans(self, token: Token, heading: str = "") -> Iterator[tuple[int, int]]:
        """Yield the (start, end) of each line of a token, without the marks before it.

        A line of a token's content is the end of a line of the text: what is before it are the
        marks of the quotations and lists it stands in. Only a heading also has marks behind it.
        """
        contents = token.content.split("\n")
        for number, content in enumerate(contents, (token.map or (0, 0))[0]):
            start, end = self.lines[number], self.lines[number + 1]
            words = content.strip()
            if heading.startswith("#"):
                at = self.text.find(words, self.text.find(heading, start, end) + len(heading), end)
            else:
                at = start + len(self.text[start:end].rstrip()) - len(words)
            at = max(at, start)
            is_last = number + 1 == (token.map or (0, 0))[0] + len(contents)
            yield at, at + len(words) if is_last else end

    def indented(self, token: Token) -> Block:
        """Return indented lines: code, unless someone has set paragraphs in."""
        paragraphs = re.split(r"\n\s*\n", token.content.strip())
        if not all(map(reads_as_prose, paragraphs)):
            return self.raw(token, "code")
        first, last = token.map or (0, 0)
        return self.without_marks(first, last)

    def html(self, token: Token) -> Iterator[Block]:
        """Yield what is to be read in raw HTML, or all of it as code where there is nothing."""
        first, last = token.map or (0, 0)
        start, end = self.lines[first], self.lines[last]
        source = self.text[start:end]
        if self.quotes:
            source = re.sub(r"(?m)^[ \t>]+", lambda found: " " * len(found[0]), source)
        found = list(html.blocks(source, fragment=True))
        for each in found:
            kind = self.kind if each.kind == "prose" else each.kind
            yield replace(each, kind=kind).moved(start)
        if not found:
            yield self.raw(token, "code")

    def too_deep(self, token: Token) -> Block:
        """Return the text of a quotation or item that is nested too deeply for the parser."""
        first, last = token.map or (0, 0)
        return self.without_marks(first, last)

    def without_marks(self, first: int, last: int) -> Block:
        """Return lines without the marks of quotations and lists before them."""
        spans = []
        for start, end in zip(
            self.lines[first:last], self.lines[first + 1 : last + 1], strict=True
        ):
            marks = _MARKS.match(self.text, start, end)
            spans.append((marks.end() if marks else start, end))
        return of_lines(self.text, spans, self.kind)

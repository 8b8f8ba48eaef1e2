"""Markdown (CommonMark with GitHub's tables and footnotes) as blocks, scanned line by line.

markdown-it-py is not used: it parses a text as a whole and gives line numbers, not offsets. Less
than a rendering is needed here: which lines are prose, and their text without markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from itertools import pairwise

from sonar_cli.text.blocks import Block, Edit, Kind, block

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_QUOTE = re.compile(r"[ ]{0,3}>[ ]?")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|(?=\n|$))(?:\[[ xX]\][ ]+)?")
_HEADING = re.compile(r"[ ]{0,3}(#{1,6})(?:[ \t]+|(?=\r?\n|$))")
_UNDERLINE = re.compile(r"[ ]{0,3}(?:=+|-{2,})[ \t\r]*\n?$")
_BREAK = re.compile(r"[ ]{0,3}([-*_])(?:[ \t]*\1){2,}[ \t\r]*\n?$")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})([^\n]*)")
_INDENTED = re.compile(r"(?: {4}|\t)[ \t]*\S")
_TABLE_RULE = re.compile(r"[ ]{0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t\r]*\n?$")
_DEFINITION = re.compile(r"[ ]{0,3}\[[^\]\n]+\]:[ \t]*\S")
_HTML = re.compile(r"[ ]{0,3}<(?:!--|[?!]|/?[a-zA-Z][\w-]*(?:[\s/>]|$))")
_FRONT = re.compile(r"(?:---|\+\+\+)[ \t\r]*\n")

# Code and escaped characters are mapped one for one to Unicode's private use area, where no markup
# pattern matches them, and mapped back when the markup is removed.
_SHIELD = {code: 0xE000 + code for code in range(0x80)}
_UNSHIELD = {new: old for old, new in _SHIELD.items()}
_VERBATIM = re.compile(
    r"\\([!-/:-@\[-`{-~])"
    r"|(?<!`)(?P<ticks>`+)(?!`)[ ]?(?P<code>(?:(?!\n\n).)+?)[ ]?(?<!`)(?P=ticks)(?!`)"
    r"|<(?P<link>[a-zA-Z][\w+.-]*:[^<>\s]*|[^<>\s@]+@[^<>\s@]+)>",
    re.S,
)
_TARGET = r"\((?:<[^>\n]*>|[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"
_MARKUP = re.compile(
    rf"!\[[^\[\]]*\](?:{_TARGET}|\[[^\[\]]*\])"
    r"|\[\^[^\[\]\s]+\]:?"
    rf"|\[(?P<inner>(?:[^\[\]]|!\[[^\[\]]*\]{_TARGET})+)\](?:{_TARGET}|\[[^\[\]]*\])"
    r"|<!--(?:(?!<!--).)*?-->|</?[a-zA-Z][^<>]*>"
    r"|\\(?=\n)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][\da-fA-F]{1,6}|\w{2,31});)",
    re.S,
)
_EMPHASIS = re.compile(
    r"(?<=\S)(?:\*{1,3}|~~)|(?:\*{1,3}|~~)(?=\S)|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)"
)


def blocks(text: str) -> Iterator[Block]:
    """Yield a Markdown text's blocks in order, without thematic breaks and link definitions.

    >>> [(each.kind, each.text) for each in blocks("# Top\\n\\nSome *words* here.\\n")]
    [('heading', 'Top'), ('prose', 'Some words here.\\n')]
    """
    return _Scanner(text).blocks()


class _Scanner:
    """Scan line by line; `lines` and `kind` are the line spans and the kind of the open block."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[tuple[int, int]] = []
        self.kind: Kind = "prose"

    def blocks(self) -> Iterator[Block]:
        lines = _LINE.finditer(self.text)
        verbatim: re.Pattern[str] | None = None
        front = _FRONT.match(self.text.lstrip("\ufeff"))
        if front:
            verbatim, self.kind = re.compile(r"(?:---|\+\+\+|\.\.\.)[ \t\r]*\n?$"), "code"
        for line in lines:
            start, end = line.span()
            if verbatim:
                self.lines.append((start, end))
                if verbatim.match(self.text, start, end) and len(self.lines) > 1:
                    verbatim = None
                    yield from self.flush()
                continue
            if start == 0 and self.text.startswith("\ufeff"):
                start = 1
            quoted, start = self.without_quote(start, end)
            if not self.text[start:end].strip():
                yield from self.flush()
                continue
            if fence := self.fence(start, end):
                yield from self.flush()
                verbatim, self.kind = fence, "code"
                self.lines.append((start, end))
                continue
            yield from self.line(start, end, "quote" if quoted else "prose")
        yield from self.flush()

    def line(self, start: int, end: int, kind: Kind) -> Iterator[Block]:
        """Process a line that is neither empty nor inside a fence."""
        text = self.text
        if self.kind in ("code", "table") and self.lines:
            # An HTML block, indented code and a table end at an empty line.
            self.lines.append((start, end))
            return
        if self.lines and _UNDERLINE.match(text, start, end) and self.kind == kind:
            self.kind = "heading"
            yield from self.flush()
            return
        if self.lines and "|" in text[start:end] and _TABLE_RULE.match(text, start, end):
            head = self.lines.pop()
            yield from self.flush()
            self.lines, self.kind = [head, (start, end)], "table"
            return
        if _BREAK.match(text, start, end):
            yield from self.flush()
            return
        if heading := _HEADING.match(text, start, end):
            yield from self.flush()
            self.lines, self.kind = [(heading.end(), end)], "heading"
            yield from self.flush()
            return
        if item := _ITEM.match(text, start, end):
            yield from self.flush()
            start = item.end()
            if not text[start:end].strip():
                return
        elif not self.lines and (
            _INDENTED.match(text, start, end) or _HTML.match(text, start, end)
        ):
            kind = "code"
        elif not self.lines and _DEFINITION.match(text, start, end):
            return
        if self.lines and self.kind != kind:
            yield from self.flush()
        self.lines.append((start, end))
        self.kind = kind

    def without_quote(self, start: int, end: int) -> tuple[bool, int]:
        quoted = False
        while marker := _QUOTE.match(self.text, start, end):
            quoted, start = True, marker.end()
        return quoted, start

    def fence(self, start: int, end: int) -> re.Pattern[str] | None:
        """Return the pattern of the line that closes the fence opened here, or None."""
        item = _ITEM.match(self.text, start, end)
        found = _FENCE.match(self.text, item.end() if item else start, end)
        if found is None or (found[1][0] == "`" and "`" in found[2]):
            return None
        mark = re.escape(found[1][0])
        return re.compile(rf"[ \t>]*{mark}{{{len(found[1])},}}[ \t\r]*\n?$")

    def flush(self) -> Iterator[Block]:
        """Yield the block of the collected lines, if there are any, and begin a new one."""
        lines, self.lines = self.lines, []
        kind, self.kind = self.kind, "prose"
        if not lines:
            return
        gaps: list[Edit] = [(end, start, "") for (_, end), (start, _) in pairwise(lines)]
        made = block(self.text, lines[0][0], lines[-1][1], kind, gaps)
        if kind == "heading":
            made = made.edited([(_heading_end(made.text), len(made.text), "")])
        yield made if kind in ("code", "table") else _plain(made)


def _heading_end(text: str) -> int:
    """Return the position of a heading's end, before white space and a closing run of #."""
    text = text.rstrip()
    opened = text.rstrip("#")
    return len(opened.rstrip()) if not opened or opened[-1].isspace() else len(text)


def _plain(made: Block) -> Block:
    """Return the block without its inline markup."""
    made = made.edited(
        (m.start(), m.end(), (m[1] or m["code"] or m["link"] or "").translate(_SHIELD))
        for m in _VERBATIM.finditer(made.text)
    )
    while edits := list(_markup(made.text)):
        made = made.edited(edits)
    made = made.edited((m.start(), m.end(), "") for m in _EMPHASIS.finditer(made.text))
    return Block(made.text.translate(_UNSHIELD), made.kind, made.origins)


def _markup(text: str) -> Iterator[Edit]:
    for found in _MARKUP.finditer(text):
        if found["inner"]:
            start, end = found.span("inner")
            yield found.start(), start, ""
            yield end, found.end(), ""
        elif found["entity"]:
            # Shielded even if unknown, so that the pattern does not match it again.
            known = found[0][1] == "#" or found[0][1:] in html5
            new = unescape(found[0]) if known else found[0]
            yield (*found.span(), new.translate(_SHIELD))
        else:
            yield (*found.span(), "")

"""AsciiDoc as blocks: prose without listings, tables, comments and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from sonar_cli.text import line_markup
from sonar_cli.text.blocks import Block, Kind
from sonar_cli.text.line_markup import Line, Row
from sonar_cli.text.lines import ends_sentence
from sonar_cli.text.plain import reads_as_prose

_HEADING = re.compile(r"(?:={1,6}|#{1,6})[ \t]+(?=\S)")
_UNDERLINE = re.compile(r"([=\-~^+])\1{3,}")
_FENCE = re.compile(r"-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|`{3,}[\w, -]*|[|,:!]={3,}")
_RULE = re.compile(r"'{3,}|<{3,}|-{3}|\*{3}|\+")
_NO_PROSE = re.compile(
    r"\[(?:source|listing|literal|stem|latexmath|asciimath|pass|comment|plantuml|graphviz|ditaa"
    r"|mermaid)\b"
)
_ATTRIBUTES = re.compile(r"\[.*\]")
_CODE = re.compile(r":!?\w[\w-]*!?:(?:[ \t].*)?|[\w-]+::[^\s\[]*\[.*\]")
_ITEM = re.compile(
    r"(?:\*{1,6}|-|\.{1,6}|\d{1,3}\.|[a-z]\.|<(?:\d{1,3}|\.)>)[ \t]+(?:\[[ xX*]\][ \t]+)?(?=\S)"
)
_TERM = re.compile(r"(?P<term>\S.{0,200}?)(?::{2,4}|;;)(?:[ \t]+|$)")
_LABEL = re.compile(r"(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION):[ \t]+")

# Rows of a paragraph that is set in by which it is judged.
_PARAGRAPH = 50


def _constrained(sign: str, name: str) -> str:
    """Return the pattern of words between two signs that do not stand inside a word."""
    return rf"(?<![\w{sign}\\]){line_markup.between(sign, name)}(?!\w)"


_MARKS = re.compile(
    rf"""\\(?P<raw_escaped>[*_`\#^~<{{])
    |`\+(?P<raw_plain>[^`+]+)\+`
    |``(?P<raw_within>[^`]+)``
    |{_constrained("`", "raw_code")}
    |\s?\bfootnote(?:ref)?:[\w-]{{0,80}}\[[^\[\]]*\]
    |\b(?:image|icon|video|audio|anchor|indexterm):[^\s:\[\]][^\s\[\]]{{0,300}}\[[^\[\]]*\]
    |(?P<raw_url>\bhttps?://[^\s\[\]]{{1,500}})\[\]
    |\b(?:link|xref|mailto):(?P<raw_target>[^\s\[\]]{{1,500}})\[\]
    |\b(?:link:|xref:|mailto:|https?://)[^\s\[\]]{{1,500}}
      \[(?P<text_link>[^\[\]]{{0,500}}?)(?:,\s*\w{{1,20}}=[^\[\]]{{0,300}}|\^)?\]
    |\b(?:kbd|btn|stem|latexmath|asciimath|pass):[\w,]{{0,20}}\[(?P<raw_macro>[^\[\]]*)\]
    |<<[^<>,\n]{{1,200}},\s?(?P<text_reference>[^<>]{{1,500}})>>
    |<<(?P<raw_reference>[^<>,\n]{{1,200}})>>
    |\[\[\[?[^\[\]\n]{{1,200}}\]\]\]?
    |\s?\(\(\([^()]{{1,300}}\)\)\)
    |\(\((?P<text_term>[^()]{{1,300}})\)\)
    |\*\*(?P<text_bold>[^*]+)\*\*|__(?P<text_italic>[^_]+)__|\#\#(?P<text_marked>[^\#]+)\#\#
    |{_constrained("*", "text_strong")}|{_constrained("_", "text_emphasis")}
    |(?:\[[^\[\]\n]{{1,80}}\])?{_constrained("#", "text_mark")}
    |{_constrained("+", "raw_pass")}
    |\^(?P<raw_above>[^\s^]+)\^|~(?P<raw_below>[^\s~]+)~
    |[ ]\+(?=\n|$)""",
    re.X,
)


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text in AsciiDoc; what is no prose is code, table or heading.

    Line ends must be line feeds.

    >>> found = blocks("= Top\\n\\nNOTE: See *this*.\\n\\n[source]\\n----\\nx = 1\\n----\\n")
    >>> [(each.kind, each.text.strip()) for each in found]
    [('heading', 'Top'), ('prose', 'See this.'), ('code', '[source]\\n----\\nx = 1\\n----')]
    """
    return line_markup.blocks(text, _Reader(line_markup.rows(text)).lines(), _MARKS)


class _Reader:
    """Tells what each row is.

    `fence` is the row that ends the rows of the kind `fenced`, and `chunk` the kind of all rows up
    to a blank one. `styled` says that the next paragraph is code.
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.last = {each.words: n for n, each in enumerate(rows) if _FENCE.fullmatch(each.words)}
        self.fence = ""
        self.fenced: Kind = "code"
        self.chunk: Kind | None = None
        self.styled = self.in_list = self.in_header = self.is_underline = False

    def lines(self) -> Iterator[Line]:
        begins = True
        for number, row in enumerate(self.rows):
            if self.fence:
                yield Line(row.start, row.end, self.fenced)
                if row.words == self.fence:
                    self.fence, begins = "", True
            elif not row.words or self.is_underline or _RULE.fullmatch(row.words):
                yield Line(row.start, row.end, None)
                self.chunk, begins = None, True
                self.in_header = self.in_header and bool(row.words)
                self.is_underline = False
            elif self.chunk:
                yield Line(row.start, row.end, self.chunk)
            elif not row.words.startswith("//") or _FENCE.fullmatch(row.words):
                found = list(self.line(number, row, begins))
                yield from found
                begins = found[-1].kind != "prose"

    def line(self, number: int, row: Row, begins: bool) -> Iterator[Line]:
        """Yield what is read of a row; `begins` says that no text is right before it."""
        start, end, words, _ = row
        if begins and self.is_title(number):
            self.is_underline = True
            yield Line(start, end, "heading", True)
        elif _FENCE.fullmatch(words):
            yield self.fence_from(number, row)
        elif self.styled:
            self.styled, self.chunk = False, "code"
            yield Line(start, end, "code")
        elif found := _HEADING.match(words):
            self.in_header = words.startswith("= ")
            self.in_list = False
            yield Line(start + found.end(), end, "heading", True)
        elif _CODE.fullmatch(words) or (self.in_header and not ends_sentence(words)):
            yield Line(start, end, "code")
        elif begins and _ATTRIBUTES.fullmatch(words) and not ends_sentence(words):
            self.styled = bool(_NO_PROSE.match(words))
            yield Line(start, end, "code")
        elif begins and words[0] == "." and words[1:2] not in ("", " ", "\t", "."):
            yield Line(start + 1, end, "heading", True)
        else:
            yield from self.text(number, row, begins)

    def is_title(self, number: int) -> bool:
        """Return whether a row is underlined, by a line about as long."""
        words = self.rows[number].words
        below = self.rows[number + 1].words if number + 1 < len(self.rows) else ""
        fits = bool(_UNDERLINE.fullmatch(below)) and abs(len(below) - len(words)) <= 1
        return fits and words[0].isalnum() and not words.endswith(":")

    def fence_from(self, number: int, row: Row) -> Line:
        """Return the row that begins what is between fences, which is read if it may be prose."""
        ends = "```" if row.words.startswith("```") else row.words
        styled, self.styled = self.styled, False
        is_code = ends != "--" and ends[0] in "-.+/`|,:!"
        if not (is_code or styled):
            return Line(row.start, row.end, None)
        if self.last.get(ends, -1) <= number:
            return Line(row.start, row.end, None)
        self.fence, self.fenced = ends, "table" if ends[0] in "|,:!" else "code"
        return Line(row.start, row.end, self.fenced)

    def text(self, number: int, row: Row, begins: bool) -> Iterator[Line]:
        """Yield a row of text without its mark; a term is apart from what is said of it."""
        start, end = row.start, row.end
        free = begins or self.in_list
        if begins and row.column and not self.in_list and not _ITEM.match(row.words):
            rows = self.rows[number : number + _PARAGRAPH]
            paragraph = takewhile(lambda each: bool(each.words), rows)
            if not reads_as_prose("\n".join(each.words for each in paragraph)):
                self.chunk = "code"
                yield Line(start, end, "code")
                return
        if free and (mark := _ITEM.match(row.words)):
            self.in_list = True
            yield Line(start + mark.end(), end, "prose", True)
        elif free and (mark := _TERM.match(row.words)):
            self.in_list = True
            kind: Kind = "prose" if ends_sentence(mark["term"]) else "heading"
            yield Line(start, start + mark.end("term"), kind, True)
            if mark.end() < len(row.words):
                yield Line(start + mark.end(), end, "prose", True)
        else:
            self.in_list = self.in_list and (not begins or row.column > 0)
            label = _LABEL.match(row.words) if begins else None
            yield Line(start + (label.end() if label else 0), end, "prose", begins)

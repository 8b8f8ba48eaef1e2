"""Org as blocks: prose without source blocks, drawers, tables and keywords."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sonar_cli.text import line_markup
from sonar_cli.text.blocks import Block, Kind
from sonar_cli.text.line_markup import Line, Row
from sonar_cli.text.lines import ends_sentence

_HEADING = re.compile(
    r"\*+[ \t]+(?:(?:TODO|DONE|NEXT|WAITING|CANCELL?ED)[ \t]+)?(?:\[#\w\][ \t]+)?"
    r"(?P<title>\S.*?)(?:[ \t]+:[\w@#%:]+:)?"
)
_TITLE = re.compile(r"#\+(?:sub)?title:[ \t]*", re.I)
_BEGIN = re.compile(r"#\+begin_(src|example|export|comment|html|latex)\b", re.I)
_BEGIN_LATEX = re.compile(r"\\begin\{[\w*]+\}")
_DRAWER = re.compile(r":[\w-]+:")
_SKIPPED = re.compile(r"#\+(?:begin|end)_\w+.*|-{5,}", re.I)
_CODE = re.compile(
    r"#\+[\w-]+(?:\[[^\]]*\])?:.*|#(?:[ \t].*)?|:(?:[ \t].*)?"
    r"|(?:SCHEDULED|DEADLINE|CLOSED|CLOCK):.*"
)
_ITEM = re.compile(
    r"(?:[-+*]|\d{1,3}[.)])[ \t]+(?:\[@\d+\][ \t]*)?(?:\[[ xX-]\][ \t]+)?(?=\S)"
    r"(?:(?P<term>\S.{0,200}?)[ \t]+::[ \t]+(?=\S))?"
)
_NOTE = re.compile(r"\[fn:[\w-]+\][ \t]*")


def _emphasis(sign: str, name: str) -> str:
    """Return the pattern of words between two signs that do not stand inside a word."""
    before, behind = r"(?<![^\s\-({'\"\[*/_+])", r"(?=[\s\-.,;:!?'\")}\[\]*/_+\\]|$)"
    return before + line_markup.between(sign, name) + behind


_MARKS = re.compile(
    rf"""{_emphasis("=", "raw_verbatim")}|{_emphasis("~", "raw_code")}
    |\[\[[^\[\]\n]{{1,300}}\.(?:png|jpe?g|gif|svg)\]\]
    |\[\[[^\[\]]{{1,500}}\]\[(?P<text_link>[^\[\]]{{1,500}})\]\]
    |\[\[(?P<raw_target>[^\[\]]{{1,500}})\]\]
    |\s?\[(?:fn|cite(?:/[\w/-]{{1,20}})?):[^\[\]]*\]
    |<<<(?P<text_radio>[^<>\n]{{1,200}})>>>|<<[^<>\n]{{1,200}}>>
    |\{{\{{\{{[^{{}}]{{1,300}}\}}\}}\}}
    |@@\w{{1,20}}:[^@]{{0,300}}@@
    |\bsrc_\w{{1,20}}(?:\[[^\[\]\n]{{0,100}}\])?\{{(?P<raw_source>[^{{}}]{{0,300}})\}}
    |(?<![\w$])\$(?P<raw_math>[^\s$](?:[^$]{{0,200}}[^\s$])?)\$(?![\w$])
    |\\\((?P<raw_inline>[^\\]{{0,300}}(?:\\(?!\))[^\\]{{0,300}}){{0,20}}?)\\\)
    |{_emphasis("*", "text_bold")}|{_emphasis("/", "text_italic")}
    |{_emphasis("_", "text_underlined")}|{_emphasis("+", "text_struck")}
    |\\\\(?=\n|$)""",
    re.X,
)


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text in Org; what is no prose is code, table or heading.

    Line ends must be line feeds.

    >>> found = blocks("* TODO Top :a:\\n: x = 1\\nSee [[http://x.org][this]].\\n| a |\\n")
    >>> [(each.kind, each.text.strip()) for each in found]
    [('heading', 'Top'), ('code', ': x = 1'), ('prose', 'See this.'), ('table', '| a |')]
    """
    return line_markup.blocks(text, _Reader(line_markup.rows(text)).lines(), _MARKS)


class _Reader:
    """Tells what each row is; all rows are code up to the row `end`."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.last = {each.words.lower(): number for number, each in enumerate(rows)}
        self.end = ""
        self.in_list = False

    def lines(self) -> Iterator[Line]:
        begins = True
        for number, row in enumerate(self.rows):
            if self.end:
                yield Line(row.start, row.end, "code")
                if row.words.lower() == self.end:
                    self.end = ""
            elif end := self.closing(number, row):
                self.end = end
                yield Line(row.start, row.end, "code")
            elif not row.words or _SKIPPED.fullmatch(row.words):
                yield Line(row.start, row.end, None)
            else:
                yield from self.line(row, begins)
            begins = not row.words

    def closing(self, number: int, row: Row) -> str:
        """Return the row below with which the code ends that begins here, or "" for none."""
        if found := _BEGIN.match(row.words):
            end = f"#+end_{found[1]}"
        elif found := _BEGIN_LATEX.match(row.words):
            end = found[0].replace("begin", "end", 1)
        else:
            end = ":end:" if _DRAWER.fullmatch(row.words) else ""
        return end.lower() if self.last.get(end.lower(), -1) > number else ""

    def line(self, row: Row, begins: bool) -> Iterator[Line]:
        """Yield what is read of a row; `begins` says that a blank one was before it."""
        start, end, words, column = row
        if column == 0 and (title := _HEADING.fullmatch(words)):
            self.in_list = False
            yield Line(start + title.start("title"), start + title.end("title"), "heading", True)
        elif title := _TITLE.match(words):
            yield Line(start + title.end(), end, "heading", True)
        elif _CODE.fullmatch(words) or _DRAWER.fullmatch(words):
            yield Line(start, end, "code")
        elif words[0] == "|":
            yield Line(start, end, "table")
        elif note := _NOTE.match(words):
            yield Line(start + note.end(), end, "prose", True)
        else:
            yield from self.text(row, begins)

    def text(self, row: Row, begins: bool) -> Iterator[Line]:
        """Yield a row of text without an item's mark; a term is apart from what is said of it."""
        start, end, words, _ = row
        mark = _ITEM.match(words)
        if not mark or not (begins or self.in_list or words[0] in "-+*"):
            self.in_list = self.in_list and (not begins or row.column > 0)
            yield Line(start, end, "prose", begins)
            return
        self.in_list = True
        if mark["term"]:
            kind: Kind = "prose" if ends_sentence(mark["term"]) else "heading"
            yield Line(start + mark.start("term"), start + mark.end("term"), kind, True)
        yield Line(start + mark.end(), end, "prose", True)

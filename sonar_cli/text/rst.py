"""reStructuredText as blocks: prose without directives, code, comments and field lists."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sonar_cli.text import line_markup
from sonar_cli.text.blocks import Block, Kind
from sonar_cli.text.line_markup import Line, Row
from sonar_cli.text.lines import ends_sentence

# Directives whose argument is text, or a title, and those whose content is no prose. Of any other
# the content is read, and the argument is not.
_ADMONITIONS = frozenset(
    "attention caution danger error hint important note tip warning seealso todo".split()
)
_TITLED = frozenset("admonition topic sidebar rubric centered".split())
_NO_PROSE = frozenset(
    "code code-block sourcecode parsed-literal literalinclude prompt doctest testcode testoutput "
    "testsetup testcleanup highlight ipython jupyter-execute math image figure video graphviz "
    "digraph graph mermaid plot uml include raw toctree contents index meta bibliography "
    "productionlist role default-role table csv-table list-table".split()
)
_EXPLICIT = re.compile(
    r"\.\.(?:[ \t]+|$)(?:(?P<text>\[[^\]]+\][ \t]*|(?:version\w+|deprecated)::[ \t]+\S+[ \t]*)"
    r"|(?P<name>[\w:+.-]+)::(?:[ \t]+|$))?"
)
_RULE = re.compile(r"([!-/:-@\[-`{-~])\1{2,}")
_BORDER = re.compile(r"\+[-=+]{3,}|=+(?:[ \t]+=+)+")
_FIELD = re.compile(r":[^:\n`]+:(?:[ \t]|$)|__[ \t]")
_ITEM = re.compile(
    r"(?:[-*+\u2022]|\(?(?:\d{1,3}|#)[.)]|\(?[a-z]\)|\||-{1,2}\w\S*(?: \S+){0,6}?[ \t])[ \t]+(?=\S)"
)
_TERM_LENGTH = 60

# Markup begins behind white space or an opening sign, and ends before such a sign or a mark.
_BEGIN = r"(?<![^\s'\"(\[{<\-/:\u2010-\u2015\u2018\u201c\u00ab])"
_END = r"(?=[\s'\")\]}>\-/:.,;!?\\\u2010-\u2015\u2019\u201d\u00bb]|$)"
_ROLE = r":[a-zA-Z][\w.+-]{0,40}(?::[\w.+-]{1,40})?:"
_MARKS = re.compile(
    rf"""\\(?:\s|(?P<raw_escaped>\S))
    |``(?P<raw_literal>(?=\S)(?:[^`]|`(?!`))+?)``(?!`)
    |\s{{0,4}}:(?:foot)?cite(?::\w+)?:`[^`]*`
    |(?:{_ROLE}|_)?`[~!]?(?P<raw_role>[^\s`][^`]*?)(?:\s{{0,4}}<[^<>`]+>)?`(?:__?(?!\w)|{_ROLE})?
    |{_BEGIN}{line_markup.between("*", "raw_strong", 2)}{_END}
    |{_BEGIN}{line_markup.between("*", "raw_emphasis")}{_END}
    |{_BEGIN}\|(?P<raw_substitution>[^\s|](?:[^|\n]*[^\s|])?)\|_{{0,2}}{_END}
    |\s{{0,4}}\[[\w\#*.-]{{1,80}}\]_(?!\w)
    |(?<=[^\W_])__?{_END}""",
    re.X,
)


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text in reStructuredText; what is no prose is code, table or heading.

    Line ends must be line feeds.

    >>> found = blocks("Top\\n===\\n\\nRun ``it``::\\n\\n   $ go\\n\\n.. note:: See *this*.\\n")
    >>> [(each.kind, each.text.strip()) for each in found]
    [('heading', 'Top'), ('prose', 'Run it:'), ('code', '$ go'), ('prose', 'See this.')]
    """
    return line_markup.blocks(text, _Reader(line_markup.rows(text)).lines(), _MARKS)


class _Reader:
    """Tells what each row is.

    `body` is the column beyond which rows are code, `item` that of the list being read, and `chunk`
    the kind of all rows up to a blank one.
    """

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.body = self.item = -1
        self.in_body = False
        self.chunk: Kind | None = None

    def lines(self) -> Iterator[Line]:
        begins = True
        for number, row in enumerate(self.rows):
            if not row.words:
                self.chunk = None
                yield Line(row.start, row.end, None)
            elif self.in_body and row.column > self.body:
                yield Line(row.start, row.end, "code")
            else:
                self.in_body = False
                yield self.line(number, row, begins)
            begins = not row.words

    def line(self, number: int, row: Row, begins: bool) -> Line:
        """Return what is read of a row; `begins` says that a blank one was before it."""
        if begins:
            self.chunk = self.chunk_from(number)
        if self.chunk:
            return Line(row.start, row.end, self.chunk)
        if explicit := _EXPLICIT.match(row.words):
            return self.explicit(number, row, explicit)
        if _FIELD.match(row.words):
            return self.with_body(row)
        if _RULE.fullmatch(row.words) and row.words != ":::":
            return Line(row.start, row.end, None)
        following = self.rows[number + 1] if number + 1 < len(self.rows) else None
        if following and _RULE.fullmatch(following.words):
            return Line(row.start, row.end, "heading", True)
        return self.text(row, following, begins)

    def chunk_from(self, number: int) -> Kind | None:
        """Return the kind of the rows up to the next blank one if they are a table or a session."""
        if self.rows[number].words.startswith(">>>"):
            return "code"
        while number < len(self.rows) and self.rows[number].words:
            if _BORDER.fullmatch(self.rows[number].words):
                return "table"
            number += 1
        return None

    def explicit(self, number: int, row: Row, found: re.Match[str]) -> Line:
        """Return what is read of a directive's first row, a footnote's or a comment's."""
        start = row.start + found.end()
        name = (found["name"] or "").lower()
        if found["text"] or name in _ADMONITIONS:
            return Line(start, row.end, "prose" if start < row.end - 1 else None, True)
        if name in _TITLED:
            return Line(start, row.end, "heading", True)
        if name and name not in _NO_PROSE:
            return Line(row.start, row.end, "code")
        if row.words == ".." and not (number + 1 < len(self.rows) and self.rows[number + 1].words):
            return Line(row.start, row.end, None)
        return self.with_body(row)

    def with_body(self, row: Row) -> Line:
        """Return a row that is code, as are the rows below it that are set in."""
        self.body, self.in_body = row.column, True
        return Line(row.start, row.end, "code")

    def text(self, row: Row, following: Row | None, begins: bool) -> Line:
        """Return a row of text without an item's mark, and without the colons before code."""
        start, end, column = row.start, row.end, row.column
        mark = _ITEM.match(row.words) if begins or column <= self.item else None
        if mark:
            self.item = column
            start, column = start + mark.end(), column + mark.end()
        elif column <= self.item:
            self.item = -1
        is_last = not following or not following.words or following.column > column
        if row.words.endswith("::") and is_last:
            self.body, self.in_body = column, True
            end = row.start + len(row.words[:-2].rstrip())
            end += end == row.start + len(row.words) - 2
        is_term = begins and not mark and following is not None and following.column > column
        if is_term and len(row.words) <= _TERM_LENGTH and not ends_sentence(row.words):
            return Line(start, end, "heading")
        return Line(start, end, "prose" if end > start + 1 else None, begins or bool(mark))

"""What the readers of markup by lines share (reStructuredText, AsciiDoc, Org)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sonar_cli.text.blocks import Block, Edit, Kind, of_lines, whole

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
# Marks in marks; each level reads its text once more.
_NESTING = 4


class Row(NamedTuple):
    """A line of a text: the offsets of its words and of its end, its words and their column."""

    start: int
    end: int
    words: str
    column: int


class Line(NamedTuple):
    """What is read of a line, text[start:end], and as what; nothing of the kind None.

    `begins` says that a block begins with it, although it follows a line of the same kind.
    """

    start: int
    end: int
    kind: Kind | None
    begins: bool = False


def between(sign: str, name: str, times: int = 1) -> str:
    """Return the pattern of words between two signs, as a group of this name.

    >>> re.search(between("*", "raw"), "2 * 3 *of it*")["raw"]
    'of it'
    """
    other, edge = rf"[^{sign}]", rf"[{sign}]{{{times}}}"
    return rf"{edge}(?P<{name}>(?!\s){other}(?:{other}*(?!\s){other})?){edge}"


def rows(text: str) -> list[Row]:
    """Return the lines of a text, without a byte order mark.

    >>> rows("One\\n  two.\\n")[1]
    Row(start=6, end=11, words='two.', column=2)
    """
    found = []
    for each in _LINE.finditer(text, int(text.startswith("\ufeff"))):
        words = each[0].strip()
        indent = each[0][: len(each[0]) - len(each[0].lstrip())] if words else ""
        found.append(Row(each.start() + len(indent), each.end(), words, len(indent.expandtabs())))
    return found


def blocks(text: str, lines: Iterable[Line], marks: re.Pattern[str]) -> Iterator[Block]:
    """Yield successive lines of one kind as blocks, without the inline markup that `marks` finds.

    >>> lines = [Line(2, 6, "prose"), Line(6, 7, None), Line(7, 8, "code")]
    >>> [(each.kind, each.text) for each in blocks("- *a*\\n\\nb", lines, re.compile(r"[*]"))]
    [('prose', 'a\\n'), ('code', 'b')]
    """
    held: list[Line] = []
    for line in lines:
        if held and (line.begins or line.kind != held[-1].kind):
            yield from _block(text, held, marks)
            held = []
        held.append(line)
    yield from _block(text, held, marks)


def _block(text: str, lines: list[Line], marks: re.Pattern[str]) -> Iterator[Block]:
    if not lines or (kind := lines[0].kind) is None:
        return
    made = of_lines(text, [(each.start, each.end) for each in lines], kind)
    if kind not in ("code", "table"):
        made = made.edited(whole(made.text, edits(made.text, marks)))
    if made.text.strip():
        yield made


def edits(
    content: str, marks: re.Pattern[str], start: int = 0, end: int | None = None, depth: int = 0
) -> Iterator[Edit]:
    """Yield the edits that remove markup, in order: of each match only its named group stays.

    Markup in such a group is removed as well, unless its name begins with "raw". A match without a
    group goes as a whole.

    >>> marks = re.compile(r"[*](?P<text>[^*]+)[*]|[~](?P<raw>[^~]+)[~]|/")
    >>> list(edits("*a/* ~b/~", marks))
    [(0, 1, ''), (2, 3, ''), (3, 4, ''), (5, 6, ''), (8, 9, '')]
    """
    for found in marks.finditer(content, start, len(content) if end is None else end):
        first, last = found.span(found.lastgroup) if found.lastgroup else (found.end(), found.end())
        if found.start() < first:
            yield found.start(), first, ""
        if found.lastgroup and not found.lastgroup.startswith("raw") and depth < _NESTING:
            yield from edits(content, marks, first, last, depth + 1)
        if last < found.end():
            yield last, found.end(), ""

"""Plain text with page breaks (form feeds), such as is made from a PDF.

What a printer puts at a page's edges (its number, running headers and footers) is left out, and a
paragraph goes on behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from sonar_cli.text import plain
from sonar_cli.text.blocks import Block, join
from sonar_cli.text.lines import Span, ends_sentence

# Lines at each edge of a page that may be furniture, and the characters of the longest one.
_EDGE = 3
_LENGTH = 200
_DIGITS = re.compile(r"(?<!\d)\d{1,6}(?!\d)")
_ROMAN = r"(?=[ivxl])(?:xl|l?x{0,3})(?:i[xv]|v?i{0,3})"
_NUMBER = re.compile(
    rf"(?i:page|seite|p\.)?[ \t]*[-\u2013\[(|]?[ \t]*(?:\d{{1,4}}|{_ROMAN})[ \t]*[-\u2013\])|]?"
    r"(?:[ \t]*(?:/|(?i:of|von))[ \t]*\d{1,4})?"
)
# A number at one end of a line and words at the other, far apart.
_APART = re.compile(r"\d{1,4}[ \t]{3,}\S.*|\S(?:.*\S)?[ \t]{3,}\d{1,4}")
_BLANK_BEFORE = re.compile(r"(?:\n[^\S\n]*\n|\f\s*|^\s*)$")
_BLANK_AFTER = re.compile(r"\n[^\S\n]*\n|\s*\f|\s*$")
_GOES_ON = re.compile(r"[,;\uff0c\u3001\u060c\u061b]\s*$")
# Headings, such as a footer and a header, over which a sentence may run.
_HEADINGS = 2


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a plain text, each page as `plain.blocks` reads it.

    A line at a page's edge goes if it is a page's number or stands at the edges of several pages,
    apart from its number. A paragraph without a final mark goes on behind the page break; if it
    does so in lower case, headings between are left out as well. Memory holds one page at a time.

    >>> [each.text for each in blocks("It was the\\n\\nTom's Tale    7\\n\\n\\fonly kite.")]
    ['It was the\\nonly kite.']
    """
    if "\f" not in text:
        yield from plain.blocks(text)
        return
    # A paragraph that may go on, the number of the page on which it was seen last, and headings.
    parts: list[Block] = []
    begun = 0
    headings: list[Block] = []
    for number, (start, end) in enumerate(_bodies(text)):
        for each in plain.blocks(text, start, end):
            if parts and begun < number and _goes_on(parts[-1], each, bool(headings)):
                parts.append(each)
                headings = []
            elif each.kind == "heading" and _is_open(parts) and len(headings) < _HEADINGS:
                headings.append(each)
                continue
            else:
                yield from _joined(parts)
                yield from headings
                parts, headings = [each], []
            begun = number
    yield from _joined(parts)
    yield from headings


def _goes_on(before: Block, after: Block, apart: bool) -> bool:
    """Return whether a paragraph goes on; `apart` says that there are headings between."""
    if "table" in (before.kind, after.kind) or _has_ended(before):
        return False
    if after.text.lstrip()[:1].islower():
        return True
    return not apart and before.kind == after.kind == "prose"


def _is_open(parts: list[Block]) -> bool:
    """Return whether a sentence of a paragraph may go on behind headings."""
    return bool(parts) and parts[-1].kind == "prose" and not _has_ended(parts[-1])


def _has_ended(part: Block) -> bool:
    return ends_sentence(part.text) and not _GOES_ON.search(part.text[-20:])


def _joined(parts: list[Block]) -> Iterator[Block]:
    if len(parts) < 2:
        yield from parts
        return
    whole = join(parts, "\n", "prose")
    yield whole.edited(plain.hyphens(whole.text, 0, len(whole.text)))


def _bodies(text: str) -> Iterator[Span]:
    """Yield the (start, end) of each page without the furniture beside the page breaks."""
    breaks = [each.start() for each in re.finditer("\f", text)]
    pages = list(zip([0, *(each + 1 for each in breaks)], [*breaks, len(text)], strict=True))
    seen: Counter[str] = Counter()
    for number, page in enumerate(pages):
        lines = _lines(text, page)
        edges = (text[slice(*each)] for each in {*lines[:_EDGE], *lines[-_EDGE:]})
        seen.update({key for each in edges for key in _keys(each, number)})
    for number, page in enumerate(pages):
        lines = _lines(text, page)
        first = last = 0
        if number > 0:
            first = _furniture(text, lines[:_EDGE], seen, number)
        if number < len(breaks):
            last = _furniture(text, lines[: -_EDGE - 1 : -1], seen, number)
        if first + last >= len(lines):
            # There is nothing else on the page: it may be its text.
            first = last = 0
        if lines:
            yield lines[first][0], lines[len(lines) - last - 1][1]


def _lines(text: str, page: Span) -> list[Span]:
    """Return the lines of a page that are not blank."""
    found = (each.span() for each in re.compile(r"[^\n]+").finditer(text, *page))
    return [each for each in found if not text[slice(*each)].isspace()]


def _furniture(text: str, lines: list[Span], seen: Counter[str], page: int) -> int:
    """Return how many of these lines, which begin at the edge of a page, are furniture."""
    for count, (start, end) in enumerate(lines):
        line = text[start:end].strip()
        if len(line) > _LENGTH or not (
            _NUMBER.fullmatch(line)
            or (_APART.fullmatch(line) and _is_alone(text, start, end))
            # A line that reads like a sentence may be twice there by chance.
            or max(seen[key] for key in _keys(line, page)) >= 2 + ends_sentence(line)
        ):
            return count
    return len(lines)


def _keys(line: str, page: int) -> set[str]:
    """Return what is the same at the edges of several pages if a line is their header.

    It is the line, or the line with its page number less the number of pages before it; the
    numbers of chapters do not grow with each page.

    >>> _keys("Kites  12", 3) & _keys("Kites 14", 5), _keys("Part 1", 3) & _keys("Part 2", 9)
    ({'Kites #9'}, set())
    """
    if len(line) > _LENGTH:
        return set()
    words = " ".join(line.split())
    numbers = list(_DIGITS.finditer(words))
    return {words} | {
        f"{words[: each.start()]}#{int(each[0]) - page}{words[each.end() :]}"
        for each in (*numbers[:1], *numbers[-1:])
    }


def _is_alone(text: str, start: int, end: int) -> bool:
    """Return whether a line is a paragraph of its own."""
    return bool(_BLANK_BEFORE.search(text[max(start - 80, 0) : start])) and bool(
        _BLANK_AFTER.match(text[end : end + 80])
    )

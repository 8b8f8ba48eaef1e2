"""The lines of a text: which of them are wrapped prose, and which stand by themselves."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sonar_cli.text.marks import CLOSERS, EMOJI, FULL_STOPS, ITEM, RAISED
from sonar_cli.text.rules import Rules

Span = tuple[int, int]

# The white space between two paragraphs.
GAP = re.compile(r"\n[^\S\n]*(?:\n\s*)+")
_LINE = re.compile(r"[^\n]+")
_NON_SPACE = re.compile(r"\S")
# A mark that ends a sentence or a part of one, with what may follow it there: closing quotes and
# brackets, notes such as [3] or a raised 2, and emoji.
_FINAL = re.compile(
    rf"[.!?\u2026:;,\uff0c\u3001\u060c\u061b\u06d4\u1362{FULL_STOPS}]"
    rf"(?:['\"{CLOSERS}]|\[[\w ,-]{{1,24}}\]|[{RAISED}]|[\s{EMOJI}])*$"
)
# The mark of a list item: a sign, or a number or letter with its signs.
_NUMBERED = r"(?P<before>\(?)(?P<number>\d{1,3}|[a-z])(?P<after>\.\)|[.)])(?=\s)"
_ITEM = re.compile(rf"(?:(?P<sign>[-*+\u2013\u2014](?=\s)|[\u2022\u2043])|{_NUMBERED})\s*(?=\S)")
# The same inside a line, where only a capital or a digit after it tells it from prose.
_INLINE_ITEM = re.compile(rf"(?<=\s)(?:(?P<sign>[\u2022\u2043])|{_NUMBERED})(?=\s*[A-Z\d])")
_WORD = re.compile(r"\S+")
_TITLE_LENGTH = 60
# Nobody wraps text in fewer columns.
_NARROWEST = 24
_SENTENCE_MARK = re.compile(rf"[.!?\u2026:;{FULL_STOPS}]")


def lines(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the lines of text[start:end] that are not empty, without the white space around them.

    >>> list(lines(" a\\n\\nb ", 0, 6))
    [(1, 2), (4, 5)]
    """
    for match in _LINE.finditer(text, start, end):
        if trimmed := trim(text, *match.span()):
            yield trimmed


def trim(text: str, start: int, end: int) -> Span | None:
    """Return the span without white space at both ends, or None if it holds nothing else."""
    if (first := _NON_SPACE.search(text, start, end)) is None:
        return None
    while text[end - 1].isspace():
        end -= 1
    return first.start(), end


def ends_sentence(text: str) -> bool:
    """Return whether a text ends as a sentence or a part of one does.

    >>> [ends_sentence(text) for text in ("It rained.[3]", "We won! \U0001f389", "The Kite Book")]
    [True, True, False]
    """
    return bool(_FINAL.search(text[-200:]))


def blocks(text: str, start: int, end: int, rules: Rules) -> Iterator[Span]:
    """Cut a paragraph before list items and after a title line; wrapped lines stay together.

    Items that follow each other in one line are cut as well.
    """
    own = list(lines(text, start, end))
    items = _items(text, own)
    apart = rules.spaces is not None or _are_short_and_unmarked(text, own)
    titled = len(own) > 1 and _is_title(text, own)
    begin = start
    for number, ((_, stop), (following, _)) in enumerate(pairwise(own), start=1):
        title = number == 1 and titled
        if number in items or title or apart or _begins_anew(text, stop, following):
            yield from _inline_items(text, begin, stop)
            begin = following
    yield from _inline_items(text, begin, end)


class _Mark(NamedTuple):
    """A list item's mark: its kind, and its place among the marks of that kind."""

    kind: str
    number: int

    @property
    def next(self) -> _Mark:
        """The mark of the item that follows."""
        return self._replace(number=self.number + 1) if self.number else self

    @property
    def is_weak(self) -> bool:
        """Whether it is one only if the next one follows, as `a.` is."""
        return self.kind.startswith("a.") or self.kind.startswith("(a.")


def _mark(match: re.Match[str]) -> _Mark:
    if match["sign"]:
        return _Mark(match["sign"], 0)
    own = match["number"]
    if own.isdigit():
        return _Mark(f"{match['before']}1{match['after']}", int(own) + 1)
    return _Mark(f"{match['before']}a{match['after']}", ord(own))


def _items(text: str, own: Sequence[Span]) -> set[int]:
    """Return the numbers of the lines that begin a list item.

    A line that only looks like one is wrapped prose ("on May / 5. He died"). It is an item if the
    line before ends with a mark, if its own is the next after the last item's, or if a later line
    has the next one.
    """
    found = {number: m for number, (at, _) in enumerate(own) if (m := _ITEM.match(text, at))}
    marked = {number: _mark(match) for number, match in found.items()}
    last = {mark: number for number, mark in marked.items()}
    items: set[int] = set()
    awaited: _Mark | None = None
    for number, mark in marked.items():
        stands = number == 0 or ends_sentence(text[slice(*own[number - 1])])
        if (stands and not mark.is_weak) or mark == awaited or last.get(mark.next, number) > number:
            items.add(number)
            awaited = mark.next
    return items


def _inline_items(text: str, start: int, end: int) -> Iterator[Span]:
    """Cut a block that begins with an item's mark before the next ones: "1) A kite 2) A boat"."""
    match = _ITEM.match(text, start, end)
    if match and match["sign"] in (None, "\u2022", "\u2043"):
        awaited = _mark(match).next
        for later in _INLINE_ITEM.finditer(text, match.end(), end):
            if _mark(later) == awaited:
                yield start, start + len(text[start : later.start()].rstrip())
                start, awaited = later.start(), awaited.next
    yield start, end


def _is_title(text: str, own: Sequence[Span]) -> bool:
    """Tell whether a paragraph's first line is a title.

    A title is short and has no final mark, while the paragraph ends with one. Both lines begin with
    a capital, the second perhaps after a quote, and the break between them was made on purpose: all
    longer words of the title have capitals, or the next word had room. In a script without capitals
    the second line is more than twice as long as the title.
    """
    (begin, stop), (following, next_stop) = own[:2]
    line, rest = text[begin:stop], text[following]
    if stop - begin > _TITLE_LENGTH or ends_sentence(line):
        return False
    # The last characters suffice to find the final mark.
    if not ends_sentence(text[max(following, own[-1][1] - 200) : own[-1][1]]):
        return False
    if line[:1].isupper():
        word = _WORD.match(text, following, next_stop)
        needed = stop - begin + 1 + len(word[0] if word else "")
        roomy = needed <= max(_NARROWEST, *(last - first for first, last in own))
        capitals = all(each[0].isupper() for each in line.split() if len(each) > 3)
        return (roomy or capitals) and (rest.isupper() or rest in "\"'\u201c\u2018\u00ab")
    caseless = unicodedata.category(line[0]) == "Lo"
    return caseless and 2 * len(line) < min(_TITLE_LENGTH, next_stop - following)


def _are_short_and_unmarked(text: str, own: Sequence[Span]) -> bool:
    """Tell whether a paragraph is a list or a verse without any mark: three short lines or more."""
    return (
        len(own) > 2
        and all(stop - begin <= _TITLE_LENGTH and text[begin].isalnum() for begin, stop in own)
        and not _SENTENCE_MARK.search(text, own[0][0], own[-1][1])
    )


def _begins_anew(text: str, stop: int, following: int) -> bool:
    """Tell whether a Chinese or Japanese line is indented, a list item, or a line of dialogue."""
    return (
        "\u3000" in text[stop:following]
        or ITEM.match(text, following) is not None
        or (text[following] in "「『" and text[stop - 1] in "」』。！？")
    )

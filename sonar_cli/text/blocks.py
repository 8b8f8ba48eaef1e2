"""Blocks of a document (paragraphs, headings, ...): cleaned text that maps back to offsets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

# "quote" is a block quotation in a document, "quoted" an earlier mail repeated in a reply.
Kind = Literal["prose", "heading", "code", "table", "quote", "quoted", "header", "signature"]

# (start, end, new): replace text[start:end] by `new`.
Edit = tuple[int, int, str]

# (position in the block's text, character offset in the document, length in the document). A length
# of 0 says that text and document are the same from there on. Any other length is that of the
# source, such as "&amp;", of all the text up to the next origin.
Origin = tuple[int, int, int]


@dataclass(frozen=True)
class Block:
    """A block of a document: its text without markup, its kind, and its place in the document.

    `origins` tell in ascending order where the pieces of the text come from.
    """

    text: str
    kind: Kind
    origins: tuple[Origin, ...] = ((0, 0, 0),)

    def where(self, start: int, end: int) -> tuple[int, int]:
        """Return the (start, end) in the document of text[start:end], which must not be empty.

        >>> Block("a & b", "prose", ((0, 100, 0), (2, 102, 5), (3, 107, 0))).where(0, 3)
        (100, 107)
        """
        return self._source(start)[0], self._source(end - 1)[1]

    def _source(self, position: int) -> tuple[int, int]:
        """Return the (start, end) in the document of the character at a position."""
        at, offset, length = self.origins[bisect_right(self.origins, position, key=_position) - 1]
        if length:
            return offset, offset + length
        return offset + position - at, offset + position - at + 1

    def moved(self, by: int) -> Block:
        """Return the block with offsets that are greater by a number."""
        return replace(self, origins=tuple((p, o + by, n) for p, o, n in self.origins))

    def edited(self, edits: Iterable[Edit]) -> Block:
        """Return the block with parts of its text replaced, by sorted edits that do not overlap.

        >>> block = Block("a **bold** &amp; word", "prose", ((0, 100, 0),))
        >>> found = block.edited([(2, 4, ""), (8, 10, ""), (11, 16, "&")])
        >>> found.text, found.where(7, 8), found.where(9, 13)
        ('a bold & word', (111, 116), (117, 121))
        """
        pieces: list[str] = []
        origins: list[Origin] = []
        length = done = 0
        for start, end, new in [*edits, (len(self.text), len(self.text), "")]:
            if start > done:
                origins += self._origins_of(done, start, length)
                pieces.append(self.text[done:start])
                length += start - done
            if new:
                first, last = self.where(start, max(end, start + 1))
                origins.append((length, first, last - first))
                pieces.append(new)
                length += len(new)
            done = end
        return Block("".join(pieces), self.kind, tuple(origins) or self.origins[:1])

    def _origins_of(self, start: int, end: int, at: int) -> list[Origin]:
        """Return the origins of text[start:end] after a move to position `at`."""
        first = bisect_right(self.origins, start, key=_position)
        last = bisect_left(self.origins, end, first, key=_position)
        inner = [(p - start + at, o, n) for p, o, n in self.origins[first:last]]
        length = self.origins[first - 1][2]
        return [(at, self._source(start)[0], length), *inner]


def block(text: str, start: int, end: int, kind: Kind, edits: Iterable[Edit] = ()) -> Block:
    """Return text[start:end] of a document as a block; `edits` use the document's offsets."""
    plain = Block(text[start:end], kind, ((0, start, 0),))
    return plain.edited((a - start, b - start, new) for a, b, new in edits)


def of_lines(text: str, spans: Iterable[tuple[int, int]], kind: Kind) -> Block:
    """Return the spans of a document, such as lines without their marks, as one block.

    >>> of_lines("> a\\n> b\\n", [(2, 4), (6, 8)], "quote")
    Block(text='a\\nb\\n', kind='quote', origins=((0, 2, 0), (2, 6, 0)))
    """
    pieces: list[str] = []
    origins: list[Origin] = []
    length = 0
    for start, end in spans:
        origins.append((length, start, 0))
        pieces.append(text[start:end])
        length += end - start
    return Block("".join(pieces), kind, tuple(origins) or ((0, 0, 0),))


def join(parts: Sequence[Block], sign: str, kind: Kind) -> Block:
    """Return blocks as one, with a sign that stands for all that is between two of them.

    >>> join([Block("a", "prose"), Block("b", "prose", ((0, 9, 0),))], " ", "prose")
    Block(text='a b', kind='prose', origins=((0, 0, 0), (1, 1, 8), (2, 9, 0)))
    """
    origins: list[Origin] = []
    length = 0
    for before, part in zip([None, *parts], parts, strict=False):
        if before:
            end, start = before.where(0, len(before.text))[1], part.where(0, 1)[0]
            origins.append((length, end, start - end))
            length += len(sign)
        origins += [(p + length, o, n) for p, o, n in part.origins]
        length += len(part.text)
    return Block(sign.join(part.text for part in parts), kind, tuple(origins))


def whole(content: str, marks: Iterable[Edit]) -> Iterator[Edit]:
    """Join neighbouring sorted edits, and add to marks the letter that they open or close.

    The place of a sentence then holds its marks as well.

    >>> list(whole("*Run* it", [(0, 1, ""), (4, 5, "")]))
    [(0, 2, 'R'), (3, 5, 'n')]
    """
    joined: list[Edit] = []
    for start, end, new in marks:
        # Two that write something stay apart: a long row of them would be copied for each.
        reach = joined[-1][1] - bool(new and joined[-1][2]) if joined else -1
        if start <= reach:
            first, last, before = joined[-1]
            joined[-1] = (first, max(last, end), before + new)
        else:
            joined.append((start, end, new))
    done = 0
    for index, (start, end, new) in enumerate(joined):
        opens = start == 0 or content[start - 1].isspace()
        closes = end == len(content) or content[end].isspace()
        if not new and opens and not closes:
            following = joined[index + 1] if index + 1 < len(joined) else None
            if following and following[0] == end + 1 and not following[2]:
                # A single letter between two marks.
                joined[index + 1] = (start, following[1], content[end])
                continue
            end, new = end + 1, content[end]
        elif not new and closes and start - 1 >= done and not opens:
            start, new = start - 1, content[start - 1]
        yield start, end, new
        done = end


def _position(origin: Origin) -> int:
    return origin[0]

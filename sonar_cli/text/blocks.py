"""Blocks of a document (paragraphs, headings, ...): cleaned text that maps back to offsets."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# "quote" is a block quotation in a document, "quoted" an earlier mail repeated in a reply.
Kind = Literal["prose", "heading", "code", "table", "quote", "quoted", "header", "signature"]

# (start, end, new): replace text[start:end] by `new`.
Edit = tuple[int, int, str]


@dataclass(frozen=True)
class Block:
    """A block of a document: its text without markup, its kind, and its place in the document.

    `origins` are pairs (position in `text`, character offset in the document) in ascending order.
    Between two pairs, position and offset grow together. `span` is set where the offsets of single
    characters are unknown: it is the (start, end) of the whole block.
    """

    text: str
    kind: Kind
    origins: tuple[tuple[int, int], ...] = ((0, 0),)
    span: tuple[int, int] | None = None

    def origin(self, position: int) -> int:
        """Return the offset in the document of a position in the text."""
        index = bisect_right(self.origins, position, key=_position) - 1
        at, offset = self.origins[index]
        return offset + position - at

    def where(self, start: int, end: int) -> tuple[int, int]:
        """Return the (start, end) in the document of text[start:end], which must not be empty."""
        return self.span or (self.origin(start), self.origin(end - 1) + 1)

    def edited(self, edits: Iterable[Edit]) -> Block:
        """Return the block with parts of its text replaced, by sorted edits that do not overlap.

        >>> block = Block("a **bold** word", "prose", ((0, 100),))
        >>> found = block.edited([(2, 4, ""), (8, 10, "")])
        >>> found.text, found.origin(found.text.index("word"))
        ('a bold word', 111)
        """
        pieces: list[str] = []
        origins: list[tuple[int, int]] = []
        length = done = 0
        for start, end, new in [*edits, (len(self.text), len(self.text), "")]:
            for piece, at in ((self.text[done:start], done), (new, start)):
                if piece:
                    origins += self._origins_of(at, at + len(piece), length)
                    pieces.append(piece)
                    length += len(piece)
            done = end
        return Block("".join(pieces), self.kind, tuple(origins) or self.origins[:1])

    def _origins_of(self, start: int, end: int, at: int) -> list[tuple[int, int]]:
        """Return the origins of text[start:end] after a move to position `at`."""
        first = bisect_right(self.origins, start, key=_position)
        last = bisect_left(self.origins, end, first, key=_position)
        inner = [(p - start + at, o) for p, o in self.origins[first:last]]
        return [(at, self.origin(start)), *inner]


def block(text: str, start: int, end: int, kind: Kind, edits: Iterable[Edit] = ()) -> Block:
    """Return text[start:end] of a document as a block; `edits` use the document's offsets."""
    plain = Block(text[start:end], kind, ((0, start),))
    return plain.edited((a - start, b - start, new) for a, b, new in edits)


def _position(origin: tuple[int, int]) -> int:
    return origin[0]

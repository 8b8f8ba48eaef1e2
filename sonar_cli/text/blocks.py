"""Runs of a document, cleaned of what is no language, that still know where they stood."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["prose", "heading", "code", "table", "quote", "quoted", "header", "signature"]

# What to put in the place of text[start:end].
Edit = tuple[int, int, str]


@dataclass(frozen=True)
class Block:
    """A run of a document: its cleaned text, its kind, and where its characters stood.

    `origins` are pairs (position in `text`, offset in the document) in ascending order; up to the
    next pair both go on one by one. Where single characters cannot be told, `span` is the whole
    block's.
    """

    text: str
    kind: Kind
    origins: tuple[tuple[int, int], ...] = ((0, 0),)
    span: tuple[int, int] | None = None

    def origin(self, position: int) -> int:
        """Return the document's offset of a position in the text."""
        index = bisect_right(self.origins, position, key=_position) - 1
        at, offset = self.origins[index]
        return offset + position - at

    def where(self, start: int, end: int) -> tuple[int, int]:
        """Return the document's offsets of text[start:end], which is not empty."""
        return self.span or (self.origin(start), self.origin(end - 1) + 1)

    def edited(self, edits: Iterable[Edit]) -> Block:
        """Return the block with parts of its text replaced; edits are in order, apart.

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
        """Origins of text[start:end], as a run that begins at position `at`."""
        first = bisect_right(self.origins, start, key=_position)
        last = bisect_left(self.origins, end, first, key=_position)
        inner = [(p - start + at, o) for p, o in self.origins[first:last]]
        return [(at, self.origin(start)), *inner]


def block(text: str, start: int, end: int, kind: Kind, edits: Iterable[Edit] = ()) -> Block:
    """Take text[start:end] of a document as a block; edits name the document's offsets."""
    plain = Block(text[start:end], kind, ((0, start),))
    return plain.edited((a - start, b - start, new) for a, b, new in edits)


def _position(origin: tuple[int, int]) -> int:
    return origin[0]

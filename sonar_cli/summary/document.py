"""A document for summaries: its sentences, and the vectors of those that a summary may take."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from sonar_cli.errors import InputError
from sonar_cli.options import Source
from sonar_cli.summary.salience import length_of
from sonar_cli.summary.vectors import Encoding, Vectors
from sonar_cli.text.documents import CANDIDATES, Passage

# Told how far reading has come: an offset in the text.
OnRead = Callable[[int], None]


class Document:
    """A text's sentences in little memory, and the vectors of those that a summary may take.

    A sentence's `index` is its place among all sentences of the text. Those that a summary may
    take have a row as well: row r is the sentence of index `rows[r]`, its vector row r of
    `vectors`.
    """

    def __init__(self, width: int) -> None:
        self.texts: list[str] = []
        self.starts, self.ends = array("q"), array("q")
        self.paragraphs, self.headings = array("q"), array("q")
        self.rows = array("q")
        self.vectors = Vectors(width)

    def __len__(self) -> int:
        """How many sentences a summary may take."""
        return len(self.rows)

    def add(self, passage: Passage) -> bool:
        """Add the next sentence; tell whether a summary may take it."""
        index = len(self.texts)
        heading = self.headings[-1] if index else -1
        self.texts.append(passage.text)
        self.starts.append(passage.start)
        self.ends.append(passage.end)
        self.paragraphs.append(passage.paragraph)
        self.headings.append(index if passage.kind == "heading" else heading)
        if passage.kind not in CANDIDATES:
            return False
        self.rows.append(index)
        return True

    def text(self, row: int) -> str:
        """Return a row's sentence."""
        return self.texts[self.rows[row]]

    def source(self, row: int, cosine: float) -> Source:
        """Name a row as a source."""
        index = self.rows[row]
        return Source(index, self.starts[index], self.ends[index], round(cosine, 4))

    def heading(self, row: int) -> str | None:
        """Return the heading that a row stands under."""
        heading = self.headings[self.rows[row]]
        return self.texts[heading] if heading >= 0 else None

    def length(self) -> int:
        """Count the letters and digits of the sentences that a summary may take."""
        return sum(length_of(self.text(row)) for row in range(len(self)))


def read(
    passages: Iterable[Passage], encoding: Encoding, on_read: OnRead | None = None
) -> Document:
    """Read and encode a text, sentence by sentence as it is split.

    Memory holds the sentences; their vectors are on disk where they are many.

    A text that is nothing but headings, tables and the like is summed up from those. Raises
    InputError where there is no sentence at all.
    """
    document = Document(encoding.codec.width)
    _encode(document, (each.text for each in passages if document.add(each)), encoding, on_read)
    if not document.texts:
        raise InputError("there is no sentence in the text; nothing to sum up")
    if not document.rows:
        document.rows.extend(range(len(document.texts)))
        _encode(document, document.texts, encoding, on_read)
    return document


def _encode(
    document: Document, texts: Iterable[str], encoding: Encoding, on_read: OnRead | None
) -> None:
    for _, vectors in encoding(texts):
        document.vectors.append(vectors)
        if on_read:
            on_read(document.ends[-1])

"""A document to summarize: its sentences, and the vectors of its candidates."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from sonar_cli.errors import InputError
from sonar_cli.options import Source
from sonar_cli.summary.salience import length_of
from sonar_cli.summary.vectors import Encoding, Vectors
from sonar_cli.text.documents import CANDIDATES, Passage

# Called with the character offset in the text up to which it was read.
OnRead = Callable[[int], None]


class Document:
    """A text's sentences, and the vectors of its candidates.

    Candidates are the sentences that a summary may choose. A sentence's `index` is its place among
    all sentences of the text, a candidate's row its place among the candidates: row r is the
    sentence of index `rows[r]`, and its vector is row r of `vectors`. `starts` and `ends` are
    character offsets; arrays need less memory than lists.
    """

    def __init__(self, width: int) -> None:
        self.texts: list[str] = []
        self.starts, self.ends = array("q"), array("q")
        self.paragraphs, self.headings = array("q"), array("q")
        self.rows = array("q")
        self.vectors = Vectors(width)

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.rows)

    def add(self, passage: Passage) -> bool:
        """Add the next sentence; tell whether it is a candidate."""
        index = len(self.texts)
        heading = self.headings[-1] if index else -1
        # NLTK's sentences keep their line breaks, those of a summary are a line each.
        self.texts.append(" ".join(passage.text.split()))
        self.starts.append(passage.start)
        self.ends.append(passage.end)
        self.paragraphs.append(passage.paragraph)
        self.headings.append(index if passage.kind == "heading" else heading)
        if passage.kind not in CANDIDATES:
            return False
        self.rows.append(index)
        return True

    def text(self, row: int) -> str:
        """Return the sentence of a row."""
        return self.texts[self.rows[row]]

    def source(self, row: int, cosine: float) -> Source:
        """Return a row as a source with this cosine."""
        index = self.rows[row]
        return Source(index, self.starts[index], self.ends[index], round(cosine, 4))

    def heading(self, row: int) -> str | None:
        """Return the heading above a row, or None."""
        heading = self.headings[self.rows[row]]
        return self.texts[heading] if heading >= 0 else None

    def length(self) -> int:
        """Return the number of letters and digits in all candidates."""
        return sum(length_of(self.text(row)) for row in range(len(self)))


def read(
    passages: Iterable[Passage], encoding: Encoding, on_read: OnRead | None = None
) -> Document:
    """Read a text's sentences and encode its candidates, while the text is being split.

    If a text has no candidates, only headings, tables and the like, all of these become candidates.
    Raises InputError for a text without any sentence.
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

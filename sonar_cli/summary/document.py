"""A document to summarize: its sentences, and the vectors of its candidates."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from sonar_cli.errors import InputError, SonarError
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

    def fill(self, passages: Iterable[Passage]) -> Iterator[str]:
        """Add the sentences of a text, and yield the candidates among them, to be encoded.

        If there are none, only headings, tables and the like, all of these become candidates.
        Raises InputError for a text without any sentence, and what `passages` raises.
        """
        yield from (each.text for each in passages if self.add(each))
        if not self.texts:
            raise InputError("there is no sentence in the text; nothing to sum up")
        if not self.rows:
            self.rows.extend(range(len(self.texts)))
            yield from self.texts

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

    Raises what `Document.fill` raises.
    """
    (found,) = read_together([passages], encoding, on_read)
    if isinstance(found, SonarError):
        raise found
    return found


def read_together(
    texts: Iterable[Iterable[Passage]], encoding: Encoding, on_read: OnRead | None = None
) -> list[Document | SonarError]:
    """Read texts as `read` does, and encode the candidates of several short ones in one batch.

    In the place of a text for which `read` raises is its error. `on_read` is told the offset in all
    texts, one after the other.
    """
    found: list[Document | SonarError] = []
    owners: deque[Document] = deque()  # of the candidates that wait for their vectors
    before = 0

    def candidates() -> Iterator[str]:
        nonlocal before
        for passages in texts:
            document = Document(encoding.codec.width)
            found.append(document)
            try:
                for text in document.fill(passages):
                    owners.append(document)
                    yield text
            except SonarError as error:
                found[-1] = error
            else:
                before += document.ends[-1]

    for sentences, vectors in encoding(candidates()):
        start = 0
        for document, own in groupby(owners.popleft() for _ in sentences):
            end = start + sum(1 for _ in own)
            document.vectors.append(vectors[start:end])
            start = end
        if on_read:
            on_read(before + (document.ends[-1] if document is found[-1] else 0))
    return found

"""Text -> sentences: NLTK's Punkt, with paragraphs, lists, titles and dialogue kept whole.

Punkt's English parameters are taken from the machine when NLTK's `punkt_tab` data is there, and
from this file otherwise, so nothing is ever downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

Mode = Literal["auto", "lines"]

# Lower case, without the final full stop, as Punkt keeps them.
ABBREVIATIONS = """
a.d a.m approx apr assoc aug ave b.a b.c b.sc bldg blvd brig c capt cf cmdr co col comdr
corp cpl dec dept dist dr e.g esp est etc ext feb fig figs ft gov hr hrs i.e
inc jan jr jul jun lt ltd m.a m.d maj messrs mg mme mr mrs ms msgr mt n.b nov oct
op p.m p.s ph.d pp prof pt pvt rep rev sec sen sep sept sgt sr st vol vols vs u.k u.n u.s u.s.a
univ
""".split()

# Words that are lower case inside a sentence: with a capital after a full stop they begin one.
STARTERS = """
a about after again all also an and another are as at away because before but by can come could
did do does down during each even every everybody everyone finally first for from had has have he
her here his how however i if in inside instead is it its just last later let like many maybe more
most my never next no nobody not nothing now of on once one only or our out outside over perhaps
please several she since so some somebody soon still suddenly that the their then there these they
this those though through to together too two under until up upon very was we well were what when
where which while who why will with without would yes yet you your
""".split()
# Abbreviations only before a number: "No. 5".
BEFORE_NUMBERS = "no nos art chap sect".split()

_PARAGRAPH = re.compile(r"\n[^\S\n]*(?:\n\s*)+")
_ITEM = re.compile(r"(?:[-*+\u2022\u2013\u2014]|\(?\d{1,3}[.)]|\(?[a-z]\))[^\S\n]+\S")
_FINAL = re.compile(r"[.!?\u2026:;,][\"'\u201d\u2019\u00bb)\]]*$")
_CLOSED_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019\u00bb)\]]+$")
_TITLE_LENGTH = 60


@dataclass(frozen=True)
class Sentence:
    """A sentence, where it stands, and the number of its paragraph.

    `text` is `source[start:end]` with every run of white space as one space. `line` is True when
    it begins a line of its own inside its paragraph (a list's item, a title).
    """

    text: str
    start: int
    end: int
    paragraph: int
    line: bool = False


def split(text: str, mode: Mode = "auto") -> list[Sentence]:
    r"""Split a text into sentences; with mode "lines" every line is one.

    >>> [each.text for each in split('"Help!" cried Dr. Smith. He had 3.5 apples...')]
    ['"Help!" cried Dr. Smith.', 'He had 3.5 apples...']
    >>> [(each.text, each.paragraph) for each in split("A Title\n\nIt rained.\nIt stopped.")]
    [('A Title', 0), ('It rained.', 1), ('It stopped.', 1)]
    """
    # A same-length stand-in keeps the offsets: carriage returns and a byte order mark are spaces.
    text = text.replace("\r\n", " \n").replace("\r", "\n").replace("\ufeff", " ")
    if mode == "lines":
        spans = [(start, end, number, True) for number, (start, end) in enumerate(_lines(text))]
    else:
        spans = [
            (start, end, number, first and line > 0)
            for number, (begin, stop) in enumerate(_paragraphs(text))
            for line, block in enumerate(_blocks(text, begin, stop))
            for first, (start, end) in _sentences(text, *block)
        ]
    return [
        Sentence(" ".join(text[start:end].split()), start, end, number, line)
        for start, end, number, line in spans
    ]


def join(sentences: Sequence[Sentence]) -> str:
    """Write sentences as one text again: paragraphs apart, list items and titles on lines.

    >>> join(split("One.  Two.\\n\\n\\nThree.")).splitlines()
    ['One. Two.', '', 'Three.']
    """
    text = ""
    for before, sentence in zip([None, *sentences], sentences, strict=False):
        if before is not None:
            if before.paragraph != sentence.paragraph:
                text += "\n" if before.line and sentence.line else "\n\n"
            else:
                text += "\n" if sentence.line else " "
        text += sentence.text
    return text


def _lines(text: str) -> Iterator[tuple[int, int]]:
    for match in re.finditer(r"[^\n]+", text):
        if trimmed := _trim(text, *match.span()):
            yield trimmed


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in [*_PARAGRAPH.finditer(text), None]:
        end = match.start() if match else len(text)
        if trimmed := _trim(text, start, end):
            yield trimmed
        start = match.end() if match else end


def _blocks(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut a paragraph before list items and after a title line; wrapped lines stay together."""
    lines = [(start + a, start + b) for a, b in _lines(text[start:end])]
    begin = start
    for (line, stop), (following, _) in pairwise(lines):
        title = line == start and _is_title(text[line:stop], text[following:end])
        if title or _ITEM.match(text, following):
            yield begin, stop
            begin = following
    yield begin, end


def _is_title(line: str, rest: str) -> bool:
    """A short first line without a final mark, followed by a line that begins anew."""
    begins_anew = rest[:1].isupper() or rest[:1] in "\"'\u201c\u2018\u00ab"
    short = len(line) <= _TITLE_LENGTH and line[:1].isupper()
    return short and begins_anew and not _FINAL.search(line) and _FINAL.search(rest) is not None


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[bool, tuple[int, int]]]:
    """Yield (is the block's first, span) of a block's sentences."""
    spans: list[tuple[int, int]] = []
    for a, b in _punkt().span_tokenize(text[start:end]):
        a, b = start + a, start + b
        if spans and _goes_on(text, spans[-1], (a, b)):
            spans[-1] = (spans[-1][0], b)
        elif trimmed := _trim(text, a, b):
            spans.append(trimmed)
    for number, span in enumerate(spans):
        yield number == 0, span


def _goes_on(text: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Punkt ends a sentence after `?"` or `?)`; before a lower-case word it is not the end.

    A list's bare number ("1.") goes on as well, and so does a sentence before lone marks ("!?").
    """
    # The end is enough to judge by, and keeps a sentence of many parts from being read each time.
    head, tail = text[max(before[0], before[1] - 9) : before[1]], text[slice(*after)]
    if re.fullmatch(r"\(?\d{1,3}[.)]", head) or not re.search(r"\w", tail):
        return True
    return bool(_CLOSED_END.search(head)) and tail[:1].islower()


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    inner = text[start:end]
    if not inner.strip():
        return None
    return start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())


@lru_cache(maxsize=1)
def _punkt() -> PunktSentenceTokenizer:
    import nltk.data
    from nltk.tokenize.punkt import (
        _ORTHO_BEG_UC,
        _ORTHO_MID_LC,
        PunktParameters,
        PunktSentenceTokenizer,
        PunktTokenizer,
    )

    try:
        nltk.data.find("tokenizers/punkt_tab/english/")
        return PunktTokenizer("english")
    except LookupError:
        parameters = PunktParameters()
        parameters.abbrev_types.update(ABBREVIATIONS)
        parameters.sent_starters.update(STARTERS)
        parameters.collocations.update((word, "##number##") for word in BEFORE_NUMBERS)
        for word in STARTERS:
            parameters.add_ortho_context(word, _ORTHO_BEG_UC | _ORTHO_MID_LC)
        return PunktSentenceTokenizer(parameters)

"""Split text into sentences with NLTK's Punkt, which is called on one paragraph or item at a time.

Marks that end a sentence in any context (such as the Chinese full stop or the danda) cut first.
Punkt decides about the full stops, question marks and exclamation marks between them, and a
language's rules have the last word. Its parameters come from NLTK's `punkt_tab` data if that is on
this machine, and from `scripts` otherwise; nothing is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Protocol

from sonar_cli.options import SplitMode
from sonar_cli.text import marks, punkt, scripts, sent_tokenize
from sonar_cli.text.lines import GAP, Span, blocks, lines, trim
from sonar_cli.text.rules import Rules

_CLOSED_END = re.compile(r"[.!?\u2026][\"'\u201d\u2019\u00bb)\]]+$")
# The mark of a list item by itself.
_ITEM = re.compile(r"(?:[•⁃]\s?)?\(?(?:\d{1,3}|[a-z])[.)]{1,2}")
_FOR_PUNKT = re.compile(r"[.!?]")
_WORD = re.compile(r"\w")
_LETTER = re.compile(r"[^\W\d_]")
# Chinese and Japanese sentences follow each other without a space.
_UNSPACED = re.compile(
    rf"[{marks.WIDE}][”’\"')]*\n[“‘\"'(]*[{marks.WIDE}]|[\u3001-\u303f\uff01-\uff65][”’\"')]*\n"
)
# Characters that Punkt gets at a time.
_WINDOW = 1 << 14
# The least length, in characters, of a sentence that ends at a space (Thai, Lao) or at a single
# shad (Tibetan): both also separate parts of a sentence.
_LENGTH_AT_SPACE = 60
_LENGTH_AT_SHAD = 40
# Characters before a straight quote in which the quotes are counted.
_QUOTE_REACH = 2000


@dataclass(frozen=True)
class Sentence:
    """A sentence, its character offsets in the source text, and the number of its paragraph.

    `text` is `source[start:end]` with every run of white space collapsed to one space; a byte order
    mark counts as white space. A run with a line break is removed between two characters of a
    script written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan).
    `paragraph` counts from 0. `line` is True when the sentence begins a line of its own inside its
    paragraph (a list item, or the line after a title).
    """

    text: str
    start: int
    end: int
    paragraph: int
    line: bool = False


def split(text: str, mode: SplitMode = "auto", lang: str = "eng_Latn") -> list[Sentence]:
    r"""Split a text into sentences; with mode "lines" every line is one, and a paragraph.

    Mode "punkt" finds what `nltk.sent_tokenize` does, whatever the `lang`, and keeps the white
    space inside a sentence's `text`. "auto" and "rules" are the same here.
    `lang` is a FLORES-200 code. An unknown language gets the rules of its script.

    >>> [each.text for each in split('"Help!" cried Dr. Smith. He had 3.5 apples...')]
    ['"Help!" cried Dr. Smith.', 'He had 3.5 apples...']
    >>> [(each.text, each.paragraph) for each in split("A Title\n\nIt rained.\nIt stopped.")]
    [('A Title', 0), ('It rained.', 1), ('It stopped.', 1)]
    >>> [each.text for each in split("Am 3. Mai kam Dr. Roth. Es war kalt.", lang="deu_Latn")]
    ['Am 3. Mai kam Dr. Roth.', 'Es war kalt.']
    """
    return list(iter_split(text, mode, lang))


def iter_split(text: str, mode: SplitMode = "auto", lang: str = "eng_Latn") -> Iterator[Sentence]:
    """Yield the sentences that `split` returns one at a time, so that memory holds only one.

    >>> next(iter_split("你好。" * 1000, lang="zho_Hans")).text
    '你好。'
    """
    if mode == "punkt":
        for start, end, number in sent_tokenize.spans(text):
            yield Sentence(text[start:end], start, end, number)
        return
    text = stand_in(text)
    if mode == "lines":
        for number, (start, end) in enumerate(lines(text, 0, len(text))):
            yield Sentence(collapse(text[start:end]), start, end, number, True)
        return
    rules = scripts.rules(lang)
    for number, (begin, stop) in enumerate(_paragraphs(text)):
        for line, block in enumerate(blocks(text, begin, stop, rules)):
            first = line > 0
            for start, end in spans_of(text, *block, rules):
                yield Sentence(collapse(text[start:end]), start, end, number, first)
                first = False


class Joined(Protocol):
    """What `join` needs to know of a sentence."""

    @property
    def text(self) -> str:
        """The text of the sentence."""

    @property
    def paragraph(self) -> int:
        """The number of its paragraph."""

    @property
    def line(self) -> bool:
        """Whether it begins a line of its own inside its paragraph."""


def join(sentences: Sequence[Joined]) -> str:
    """Return sentences as one text: paragraphs apart, list items and titles on lines of their own.

    >>> join(split("One.  Two.\\n\\n\\nThree.")).splitlines()
    ['One. Two.', '', 'Three.']
    """
    parts: list[str] = []
    for before, sentence in zip([None, *sentences], sentences, strict=False):
        if before is not None:
            if before.paragraph != sentence.paragraph:
                parts.append("\n" if before.line and sentence.line else "\n\n")
            elif sentence.line:
                parts.append("\n")
            else:
                parts.append(gap(before.text, sentence.text))
        parts.append(sentence.text)
    return "".join(parts)


def gap(before: str, after: str) -> str:
    """Return what stands between two sentences of a paragraph: a space, where the script has it.

    >>> gap("Tom ran.", "Tom sat."), gap("汤姆跑了。", "他坐下了。")
    (' ', '')
    """
    return "" if _UNSPACED.search(f"{before[-3:]}\n{after[:3]}") else " "


def stand_in(text: str) -> str:
    """Return a text of the same length, with line feeds for line ends and spaces for BOMs."""
    return text.replace("\r\n", " \n").replace("\r", "\n").replace("\ufeff", " ")


def collapse(text: str) -> str:
    """Return the text with white space collapsed, as in `Sentence.text`."""
    if "\n" in text:
        text = marks.UNSPACED_BREAK.sub("", text)
    return " ".join(text.split())


def _paragraphs(text: str) -> Iterator[Span]:
    start = 0
    for match in chain(GAP.finditer(text), [None]):
        end = match.start() if match else len(text)
        if trimmed := trim(text, start, end):
            yield trimmed
        start = match.end() if match else end


def spans_of(text: str, start: int, end: int, rules: Rules) -> Iterator[Span]:
    """Yield the spans, in offsets of `text`, of the sentences in text[start:end]."""
    spans = chain.from_iterable(
        _punkt_spans(text, *piece, rules) for piece in _at_marks(text, start, end, rules)
    )
    held: Span | None = None
    for a, b in spans:
        if (after := trim(text, a, b)) is None:
            continue
        if held and _goes_on(text, held, after, rules):
            held = held[0], after[1]
            continue
        if held:
            yield from _at_spaces(text, held, rules)
        held = after
    if held:
        yield from _at_spaces(text, held, rules)


def _at_marks(text: str, start: int, end: int, rules: Rules) -> Iterator[Span]:
    """Yield pieces, cut after the marks that end a sentence in any context."""
    begin = seen = start
    has_word = False
    for match in rules.marks.finditer(text, start, end):
        # Only what is new since the last mark is searched, so that many marks take linear time.
        has_word = has_word or _WORD.search(text, seen, match.start()) is not None
        seen = match.end()
        cut = _after_quotes(text, begin, match.end(), end)
        if has_word and (cut == end or _ends_here(text, begin, match, cut)):
            yield begin, cut
            begin = seen = cut
            has_word = False
    if begin < end:
        yield begin, end


def _after_quotes(text: str, begin: int, cut: int, end: int) -> int:
    """Move a cut behind straight quotes, except one that opens the next sentence."""
    while cut < end and (quote := text[cut]) in "\"'":
        follower = text[cut + 1 : cut + 2]
        if follower.isalnum() and text.count(quote, max(begin, cut - _QUOTE_REACH), cut) % 2 == 0:
            break
        cut += 1
    return cut


def _ends_here(text: str, begin: int, match: re.Match[str], cut: int) -> bool:
    if text[cut] in "、，,;；:：،؛…" or not marks.is_boundary(text, cut):
        return False
    if marks.ELLIPSIS.match(text, match.start()):
        letter = _LETTER.search(text, cut, cut + 8)
        return letter is not None and letter[0].isupper()
    if match[0] in marks.SHADS:  # a single shad may also end only a clause
        return cut - begin >= _LENGTH_AT_SHAD
    return text[cut - 1] not in "」』”’\"'" or not marks.AFTER_QUOTE.match(text, cut)


def _punkt_spans(text: str, start: int, end: int, rules: Rules) -> Iterator[Span]:
    """Yield Punkt's sentences, found in overlapping windows of text."""
    if not _FOR_PUNKT.search(text, start, end):
        yield start, end
        return
    tokenizer, begin = punkt.tokenizer(rules), start
    while True:
        stop = _window(text, begin, end)
        spans = [(begin + a, begin + b) for a, b in tokenizer.span_tokenize(text[begin:stop])]
        for (_, cut), (following, _) in pairwise(spans):
            if following > start:  # else the window before has found it
                yield start, cut
                start = following
        if stop == end:
            yield start, end
            return
        begin = _overlap(text, begin, stop)


def _window(text: str, begin: int, end: int) -> int:
    """Return the end of a window, after a whole word if there is a space in it."""
    stop = begin + _WINDOW
    if stop >= end:
        return end
    while stop > begin and not text[stop].isspace():
        stop -= 1
    return stop if stop > begin else begin + _WINDOW


def _overlap(text: str, begin: int, stop: int) -> int:
    """Return the next window's start: three words back, since `word . »` may end a sentence."""
    place = stop
    for _ in range(3):
        before = place
        while before > begin and text[before - 1].isspace():
            before -= 1
        while before > begin and not text[before - 1].isspace():
            before -= 1
        if before == begin:
            break
        place = before
    return place


def _goes_on(text: str, before: Span, after: Span, rules: Rules) -> bool:
    """Tell whether two sentences that Punkt found are one.

    They are one if the first is only the number of a list item ("1."), if the second has no word
    ("!?") or begins in lower case while the first begins with a capital or ends with a quote or
    bracket, or if the language's rules say so.
    """
    # Only the end, so that a sentence joined from many parts is not read again for each of them.
    head = text[max(before[0], before[1] - 9) : before[1]]
    if _ITEM.fullmatch(head) or not _WORD.search(text, *after):
        return True
    if _CLOSED_END.search(head) and text[after[0]].islower():
        return True
    tail = text[after[0] : min(after[1], after[0] + 40)]
    if before[1] == after[0] and text[before[1] - 1] in ".!?" and tail[0] in "\"'”’»“«)]}":
        return True
    # If the first begins with a capital, a lower-case letter, even after a dash, continues it; but
    # iPhone is a name.
    first = _LETTER.search(text, before[0], min(before[1], before[0] + 40))
    word = tail.lstrip("—–- \u00a0")
    if first and first[0].isupper() and word[:1].islower() and not word[1:2].isupper():
        return True
    ending = " ".join(text[max(before[0], before[1] - 40) : before[1]].split())
    return bool(rules.goes_on and rules.goes_on.search(ending + "\n" + " ".join(tail.split())))


def _at_spaces(text: str, span: Span, rules: Rules) -> Iterator[Span]:
    """Yield the sentences of a span: in Thai and Lao, a space ends one that is long enough.

    Before a conjunction it must be four times as long.
    """
    start, end = span
    if rules.spaces:
        for match in marks.SPACE_BETWEEN_LETTERS.finditer(text, start, end):
            goes_on = rules.spaces.match(text, match.end())
            if match.start() - start >= (4 * _LENGTH_AT_SPACE if goes_on else _LENGTH_AT_SPACE):
                yield start, match.start()
                start = match.end()
    yield start, end

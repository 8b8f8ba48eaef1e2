"""Cut sentences that are too long for the encoder, at clause boundaries where possible."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from sonar_cli.text import marks, scripts
from sonar_cli.text.lines import Span, trim
from sonar_cli.text.rules import Rules
from sonar_cli.text.sentences import Sentence, collapse, spans_of, stand_in

# Characters after the possible end of a sentence that are enough to judge it.
_CONTEXT = 40


def shorten(
    sentences: Iterable[Sentence],
    text: str,
    length: Callable[[str], int],
    limit: int,
    lang: str = "eng_Latn",
) -> Iterator[Sentence]:
    """Yield the sentences, with those of more than `limit` tokens cut into pieces that fit.

    `text` is the text that was split into `sentences`; `length` counts the tokens of a sentence.
    A cut is made at the end of a sentence if there is one (a line may hold several), else at a
    clause mark, a comma, a space, or between two characters. The pieces are about equally long.

    >>> from sonar_cli.text.sentences import split
    >>> text = "First came the rain; then, after hours of wind, came the snow."
    >>> [each.text for each in shorten(split(text), text, lambda text: len(text.split()), 9)]
    ['First came the rain;', 'then, after hours of wind, came the snow.']
    """
    rules = scripts.rules(lang)
    for sentence in sentences:
        if _surely_fits(sentence.text, limit) or (tokens := length(sentence.text)) <= limit:
            yield sentence
            continue
        source = stand_in(text[sentence.start : sentence.end])
        line = sentence.line
        for start, end in _pieces(source, length, limit, len(source) / max(tokens, 1), rules):
            offset = sentence.start
            shorter = collapse(source[start:end])
            yield Sentence(shorter, offset + start, offset + end, sentence.paragraph, line)
            line = False


def _surely_fits(text: str, limit: int) -> bool:
    """Return whether a text fits for certain, without tokenizing it.

    A character is at most four tokens (its UTF-8 bytes); two more begin and end the sentence.
    """
    if 4 * len(text) + 2 > limit:
        return False
    # The tokenizer normalizes to NFKC, which turns U+FDFA into 18 characters.
    return 4 * len(unicodedata.normalize("NFKC", text)) + 2 <= limit


def _pieces(
    source: str, length: Callable[[str], int], limit: int, rate: float, rules: Rules
) -> Iterator[Span]:
    """Yield the pieces of a long sentence; `rate` is its number of characters per token."""

    def measure(start: int, end: int) -> int:
        return length(collapse(source[start:end]))

    begin = 0
    while begin < len(source):
        reach = _reach(measure, begin, len(source), limit, rate)
        known = reach = _whole_grapheme(source, begin, reach, measure, limit)
        end = _cut(source, begin, reach, rules)
        # A shorter piece may have more tokens, since a cut word needs more than a whole one.
        while end != known and end > begin + 1 and measure(begin, end) > limit:
            reach = min(reach, end) - max(1, (end - begin) // 8)
            end = _cut(source, begin, max(reach, begin + 1), rules)
        if piece := trim(source, begin, end):
            yield piece
        begin = end


def _reach(
    measure: Callable[[int, int], int], begin: int, end: int, limit: int, rate: float
) -> int:
    """Return the end of about the longest piece from `begin` that fits, in few measurements."""
    good, bad = begin, end + 1
    size = int(rate * limit * 0.97)
    halve = False
    while bad - good > 1:
        probe = min(max(begin + size, good + 1), bad - 1)
        tokens = measure(begin, probe)
        if tokens <= limit:
            good = probe
            if tokens >= 0.92 * limit:
                break
        else:
            bad = probe
        size = int((probe - begin) * min(8.0, 0.97 * limit / max(tokens, 1)))
        # Scaling the size suits prose; bisection at every other step bounds their number.
        if halve and bad <= end:
            size = (good + bad) // 2 - begin
        halve = not halve
    return max(good, begin + 1)


def _whole_grapheme(
    source: str, begin: int, reach: int, measure: Callable[[int, int], int], limit: int
) -> int:
    """Move a reach inside the first grapheme (an emoji of many parts) to its end, if that fits."""
    far = min(len(source), 2 * reach - begin + 32)
    places = (
        place for place in range(begin + 1, far + 1) if marks.is_boundary(source, place, begin)
    )
    end = next(places, reach)
    return end if end > reach and measure(begin, end) <= limit else reach


def _cut(source: str, begin: int, reach: int, rules: Rules) -> int:
    """Return the best cut up to `reach`: of the best kind, then nearest to equal pieces."""
    if reach == len(source):
        return reach
    rest = len(source) - begin
    # The end of the first piece if the rest is cut into equal ones; -(-a // b) rounds up.
    aim = begin + rest // -(-rest // (reach - begin))
    low = begin + (aim - begin) // 2

    def nearest(places: Iterable[int]) -> int | None:
        fit = (
            place for place in places if place > begin and marks.is_boundary(source, place, begin)
        )
        return min(fit, key=lambda place: abs(place - aim), default=None)

    # The context behind `reach` shows whether a sentence ends there. The last end is only that of
    # the context.
    ahead = min(reach + _CONTEXT, len(source))
    ends = [end for _, end in spans_of(source, begin, ahead, rules)]
    if (best := nearest(end for end in ends[:-1] if end <= reach)) is not None:
        return best
    for pattern in marks.CLAUSES:
        matches = pattern.finditer(source, low, min(reach + 1, len(source)))
        if (best := nearest(m.end() for m in matches if low < m.end() <= reach)) is not None:
            return best
    # No space in the second half of the piece: one in the first half beats a cut inside a word.
    if not marks.SPACELESS_PAIR.match(source, reach - 1):
        spaces = [m.end() for m in marks.SPACE.finditer(source, begin, reach)]
        if (best := nearest(spaces[-1:])) is not None:
            return best
    soft = (m.end() for m in marks.SOFT.finditer(source, low, reach))
    if (best := nearest(soft)) is not None:
        return best
    return _between_characters(source, begin, aim, reach)


def _between_characters(source: str, begin: int, aim: int, reach: int) -> int:
    for place in chain(range(aim, begin, -1), range(aim + 1, reach + 1)):
        if marks.is_boundary(source, place, begin):
            return place
    return reach

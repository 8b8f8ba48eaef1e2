"""Subtitles (SubRip and WebVTT) as blocks: what is said, without numbers and times."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sonar_cli.text.blocks import Block, Edit, block
from sonar_cli.text.lines import ends_sentence

_TIME = re.compile(
    r"[ \t]*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}[ \t]*-->[ \t]*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}[^\n]*"
)
_LINE = re.compile(r"[^\n]+|(?<=\n)(?=\n)")
_NOTE = re.compile(r"(?:NOTE|STYLE|REGION)\b")
# Tags of both formats, and the positions that SubRip writes in braces.
_TAG = re.compile(r"</?[a-zA-Z0-9:.][^<>\n]*>|\{\\[^{}\n]*\}")
# Where another speaks, lines begin so.
_SPEAKS = re.compile(r"[ \t]*(?:[-\u2013\u2014\u2022]|>>|<v\b)")


def is_subtitles(sample: str) -> bool:
    """Return whether a text begins as subtitles do.

    >>> is_subtitles("1\\n00:00:01,000 --> 00:00:03,500\\nHello.\\n"), is_subtitles("It is 00:00.")
    (True, False)
    """
    lines = [each for each in sample.splitlines()[:40] if each.strip()]
    begins = any(_TIME.fullmatch(line) for line in lines[:2])
    return begins or (
        bool(lines) and lines[0].startswith("WEBVTT") and any(map(_TIME.fullmatch, lines))
    )


def blocks(text: str) -> Iterator[Block]:
    """Yield what is said as blocks; a sentence may go on from one cue to the next.

    >>> cues = "1\\n00:01,0 --> 00:02,0\\nIt was\\n\\n2\\n00:02,0 --> 00:03,0\\n<i>cold.</i>\\n"
    >>> [each.text for each in blocks(cues)]
    ['It was cold.']
    """
    said: list[tuple[int, int]] = []
    for start, end in _said(text):
        ended = said and ends_sentence(_TAG.sub("", text[slice(*said[-1])]).rstrip())
        if said and (ended or _SPEAKS.match(text, start, end)):
            yield _joined(text, said)
            said = []
        said.append((start, end))
    if said:
        yield _joined(text, said)


def _said(text: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each line that is said: no times, numbers, names of cues or notes."""
    cue: list[tuple[int, int]] = []
    begun, after_gap, skipping = False, True, False
    for line in _LINE.finditer(text):
        if _TIME.match(line[0]):
            if cue and cue[-1][1] + 1 == line.start() and _is_name(text, cue):
                cue.pop()
            yield from cue
            cue, begun = [], True
        elif not line[0].strip():
            skipping = False
        elif after_gap and _NOTE.match(line[0]):
            skipping = True
        elif begun and not skipping:
            cue.append(line.span())
        after_gap = not line[0].strip()
    yield from cue


def _is_name(text: str, cue: list[tuple[int, int]]) -> bool:
    """Return whether the last line above a time is the number or name of the cue that follows."""
    start, end = cue[-1]
    return text[start:end].strip().isdigit() or text[max(start - 3, 0) : start].endswith(
        ("\n\n", "\n \n")
    )


def _joined(text: str, said: list[tuple[int, int]]) -> Block:
    """Return lines as one block, without tags, as one line."""
    edits: list[Edit] = []
    for index, (start, end) in enumerate(said):
        if index:
            edits.append((said[index - 1][1], start, " "))
        edits += [(*each.span(), "") for each in _TAG.finditer(text, start, end)]
    return block(text, said[0][0], said[-1][1], "prose", edits)

"""Chat logs as blocks: each message, with who sent it when, is one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sonar_cli.text import plain
from sonar_cli.text.blocks import Block

_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}"
_CLOCK = r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u202f]?[apAP]\.?[mM]\.?)?"
# "12/03/2024, 09:15 - Ann: ", "[12.03.24, 09:15:07] Ann: ", "2024-03-12 09:15 <ann> " and the like.
_STAMP = re.compile(
    rf"[\u200e\u200f\ufeff]*\[?(?:{_DATE}(?:,|T)?[ \t]*)?{_CLOCK}\]?(?:[ \t]*[-\u2013])?[ \t]+"
    r"(?:<[^<>\n]{1,40}>|[^\s:<][^:\n]{0,40}:(?=\s))"
)
_BEGINS = re.compile(rf"^(?={_STAMP.pattern})", re.M)
# The share of a log's lines that must begin a message for it to be detected.
_SHARE = 0.5


def is_chat(sample: str) -> bool:
    """Return whether a text begins as a chat log does.

    >>> is_chat("09:15 <ann> Hi.\\n09:16 <bob> Yes?\\n"), is_chat("09:15 Ann: Hi.\\nThen no.\\n")
    (True, False)
    """
    lines = [each for each in sample.splitlines() if each.strip()]
    begun = sum(bool(_STAMP.match(each)) for each in lines)
    return begun >= 2 and bool(_STAMP.match(lines[0])) and begun >= _SHARE * len(lines)


def blocks(text: str) -> Iterator[Block]:
    """Yield the messages as blocks of prose.

    >>> [each.text for each in blocks("09:15 Ann: Hi. You\\n09:16 Bob: Yes\\nof course\\n")]
    ['09:15 Ann: Hi. You\\n', '09:16 Bob: Yes\\nof course\\n']
    """
    start = 0
    for found in _BEGINS.finditer(text):
        yield from _message(text, start, found.start())
        start = found.start()
    yield from _message(text, start, len(text))


def _message(text: str, start: int, end: int) -> Iterator[Block]:
    for each in plain.blocks(text, start, end):
        yield Block(each.text, "prose", each.origins)

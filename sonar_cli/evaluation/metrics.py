"""Metrics of continuations, as pure functions of texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Return the words of a text as written.

    >>> words('"Look!" said Tom.')
    ['Look', 'said', 'Tom']
    """
    return _WORD.findall(text)


def keeps_name(name: str, continuation: Sequence[str], others: Collection[str]) -> bool:
    """Tell whether a continuation still has its main character and no other one.

    The name occurs in it, and none of the `others` that could be main characters does.

    >>> keeps_name("Tom", ["Tom was sad.", "He ran."], {"Ben", "Lily"})
    True
    >>> keeps_name("Tom", ["Tom was sad.", "Ben ran."], {"Ben", "Lily"})
    False
    """
    found = {word for sentence in continuation for word in words(sentence)}
    return name in found and not found & (set(others) - {name})


def repeats(prefix: Sequence[str], continuation: Sequence[str]) -> bool:
    """Tell whether a written sentence equals, word for word, an earlier one of its text.

    >>> repeats(["A."], ["B.", "A."]), repeats(["A."], ["B.", "C."])
    (True, False)
    """
    seen = set(prefix)
    for sentence in continuation:
        if sentence in seen:
            return True
        seen.add(sentence)
    return False


def share(hits: Iterable[bool]) -> float:
    """Return the share of True; 0 when there is nothing.

    >>> share([True, False, True, True])
    0.75
    """
    counted = list(hits)
    return sum(counted) / len(counted) if counted else 0.0

"""What stories are made of: all words of the world, or the first few of each list.

A model that is trained for minutes learns who and what there is in a small world, and goes on to
how stories hang together; in the whole one it would still be learning names.

>>> few = Choices(3)
>>> len(few.values("name")), len(few.things), [len(words) for words in few.settings["farm"]]
(6, 3, [3, 3, 3])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

from sonar_cli.world import words
from sonar_cli.world.grammar import values

T = TypeVar("T")
# The fewest words of a list: of fewer no combination is among the held-out ones, or hardly any.
FEWEST = 3


@dataclass(frozen=True)
class Choices:
    """At most `most` words of each list, and of each gender's names; 0 for all.

    There are also at most so many classes of things, and kinds of settings, each with its lists.
    """

    most: int = 0

    def few(self, choices: Sequence[T]) -> Sequence[T]:
        """Return the first choices."""
        return choices[: self.most or None]

    def values(self, slot: str) -> Sequence[str]:
        """Return the words that can fill a slot which depends on no class and no setting."""
        if slot == "name":
            return [*self.few(words.GIRLS), *self.few(words.BOYS)]
        return self.few(values(slot))

    @cached_property
    def things(self) -> dict[str, Sequence[Sequence[str]]]:
        """Class of things -> adjectives, things."""
        return self._of(words.THINGS)

    @cached_property
    def settings(self) -> dict[str, Sequence[Sequence[str]]]:
        """Kind of setting -> adjectives, places, animals."""
        return self._of(words.SETTINGS)

    def _of(self, kinds: Mapping[str, tuple[list[str], ...]]) -> dict[str, Sequence[Sequence[str]]]:
        some = islice(kinds.items(), self.most or None)
        return {kind: [self.few(each) for each in lists] for kind, lists in some}


ALL = Choices()
